/** @file What expressions are worth. */

import { attribute, item } from './attributes.ts';
import type { Lookups } from './calls.ts';
import { raise, unsupported } from './failure.ts';
import { FILTERS } from './filters.ts';
import { arithmetic, compare, signed, sliced } from './operators.ts';
import { lookUp, type Scope } from './scope.ts';
import { TESTS } from './tests.ts';
import type { CallArguments, Expression, Filter } from './tree.ts';
import { type Arguments, checkDefined, dictOf, iterate, list, truth, tuple, typeName, undefinedValue, type Value } from './values.ts';
import { str } from './write.ts';

/** The values of the arguments of a call. */
export function argumentsOf({ positional, keywords, rest, named }: CallArguments, scope: Scope): Arguments {
  const values = positional.map((one) => evaluate(one, scope));
  const byName = new Map<string, Value>();
  const add = (name: string, value: Value): void => {
    if (byName.has(name)) raise('TypeError', `got multiple values for keyword argument '${name}'`);
    byName.set(name, value);
  };
  for (const [name, value] of keywords) add(name, evaluate(value, scope));
  if (rest) values.push(...iterate(evaluate(rest, scope)));
  if (named) {
    const more = evaluate(named, scope);
    if (typeof more !== 'object' || more?.kind !== 'dict') return raise('TypeError', `argument after ** must be a mapping, not ${typeName(more)}`);
    for (const [key, value] of more.entries.values()) add(typeof key === 'string' ? key : raise('TypeError', 'keywords must be strings'), value);
  }
  return { positional: values, keywords: byName };
}

/** Calls a value. @throws TemplateError for what cannot be called */
export function call(callee: Value, args: Arguments): Value {
  checkDefined(callee);
  if (typeof callee === 'object' && (callee?.kind === 'function' || callee?.kind === 'loop')) return callee.call(args);
  return raise('TypeError', `'${typeName(callee)}' object is not callable`);
}

/** Filters of Jinja2 that this engine does not have. */
const UNSUPPORTED: ReadonlySet<string> = new Set(['filesizeformat', 'forceescape', 'pprint', 'random', 'striptags', 'urlize', 'wordwrap', 'xmlattr']);

const LOOKUPS: Lookups = {
  filter(name, value, args) {
    const filter = FILTERS.get(name);
    if (filter) return filter(value, args, LOOKUPS);
    return UNSUPPORTED.has(name) ? unsupported(`the filter ${name}`) : raise('TemplateRuntimeError', `No filter named '${name}'.`);
  },
  test(name, value, args) {
    const test = TESTS.get(name) ?? raise('TemplateRuntimeError', `No test named '${name}'.`);
    return test(value, args);
  },
};

/** What filters make of a value. @param block what a block wrote, where filters stand at a block */
export function filtered({ operand, name, args }: Filter, scope: Scope, block?: Value): Value {
  const value = operand === null ? (block ?? '') : operand.kind === 'filter' ? filtered(operand, scope, block) : evaluate(operand, scope);
  return LOOKUPS.filter(name, value, argumentsOf(args, scope));
}

function compared({ first, rest }: Extract<Expression, { kind: 'compare' }>, scope: Scope): boolean {
  let left = evaluate(first, scope);
  for (const [sign, expression] of rest) {
    const right = evaluate(expression, scope);
    if (!compare(sign, left, right)) return false;
    left = right;
  }
  return true;
}

const NO_BRANCH = 'the inline if-expression evaluated to false and no else section was defined.';

export function evaluate(node: Expression, scope: Scope): Value {
  const of = (inner: Expression): Value => evaluate(inner, scope);
  switch (node.kind) {
    case 'constant':
      return node.value;
    case 'name':
      return lookUp(scope, node.name);
    case 'tuple':
      return tuple(node.items.map(of));
    case 'list':
      return list(node.items.map(of));
    case 'concat':
      return node.items.map((inner) => str(of(inner))).join('');
    case 'dict':
      return dictOf(node.pairs.map(([key, value]) => [of(key), of(value)] as const));
    case 'not':
      return !truth(of(node.operand));
    case 'sign':
      return signed(node.sign, of(node.operand));
    case 'arithmetic':
      return arithmetic(node.sign, of(node.left), of(node.right));
    case 'and': {
      const left = of(node.left);
      return truth(left) ? of(node.right) : left;
    }
    case 'or': {
      const left = of(node.left);
      return truth(left) ? left : of(node.right);
    }
    case 'compare':
      return compared(node, scope);
    case 'conditional':
      if (truth(of(node.test))) return of(node.then);
      return node.otherwise ? of(node.otherwise) : undefinedValue(NO_BRANCH);
    case 'attribute':
      return attribute(of(node.object), node.name);
    case 'item':
      return item(of(node.object), of(node.key));
    case 'slice': {
      const bound = (inner: Expression | null): Value => (inner ? of(inner) : null);
      return sliced(of(node.object), { from: bound(node.from), to: bound(node.to), step: bound(node.step) });
    }
    case 'call':
      return call(of(node.callee), argumentsOf(node.args, scope));
    case 'filter':
      return filtered(node, scope);
    case 'test':
      return LOOKUPS.test(node.name, of(node.operand), argumentsOf(node.args, scope));
  }
}
