/** @file Runs the statements of a template, which write a text. */

import { at } from '../../errors.ts';
import type { Span } from '../engine.ts';
import { argumentsOf, call, evaluate, filtered } from './evaluate.ts';
import { raise, unsupported } from './failure.ts';
import { loopItems } from './loop.ts';
import { lookUp, type Scope, within } from './scope.ts';
import type { ForLoop, MacroBody, Statement, Target } from './tree.ts';
import { type Arguments, callable, dictOf, iterate, truth, tuple, undefinedValue, type Value } from './values.ts';
import { str } from './write.ts';

/** A text that is being written. */
export interface Output {
  text: string;
  /** Where generation blocks stand in it; null for a text that becomes a value first, which a template may change or write twice. */
  readonly blocks: Span[] | null;
}

/** Whether a loop goes on to its next item, or ends. */
type Jump = 'break' | 'continue' | undefined;

/** Sets what stands behind the dot of a namespace. */
function assignMember({ namespace, name }: Extract<Target, { kind: 'member' }>, value: Value, scope: Scope): void {
  const found = lookUp(scope, namespace);
  if (typeof found !== 'object' || found?.kind !== 'namespace') raise('TemplateRuntimeError', 'cannot assign attribute on non-namespace object');
  if (name.startsWith('_')) raise('SecurityError', `a template cannot set ${name}, which begins with an underscore`);
  found.values.set(name, value);
}

/** Sets what is assigned to. @throws TemplateError for values that do not fit */
function assign(target: Target, value: Value, scope: Scope): void {
  if (target.kind === 'name') scope.variables.set(target.name, value);
  else if (target.kind === 'member') assignMember(target, value, scope);
  else {
    const items = [...iterate(value)];
    const expected = target.items.length;
    if (items.length > expected) raise('ValueError', `too many values to unpack (expected ${expected})`);
    if (items.length < expected) raise('ValueError', `not enough values to unpack (expected ${expected}, got ${items.length})`);
    for (const [i, inner] of target.items.entries()) assign(inner, at(items, i), scope);
  }
}

/** What statements write, as a value. */
function captured(body: readonly Statement[], scope: Scope): string {
  const output: Output = { text: '', blocks: null };
  outside(run(body, scope, output));
  return output.text;
}

/** A loop cannot be left from within what is a function in Jinja2. */
function outside(jump: Jump): void {
  if (jump) raise('TemplateSyntaxError', `{% ${jump} %} outside of a loop`);
}

/** A macro as a value. @param scope where it is defined */
function macroValue({ name, parameters, body, reads }: MacroBody, scope: Scope): Value {
  const names = parameters.map(([parameter]) => parameter);
  return callable(name, ({ positional, keywords }: Arguments) => {
    const inner = within(scope);
    const left = new Map(keywords);
    for (const [i, [parameter, fallback]] of parameters.entries()) {
      const given = i < positional.length ? positional[i] : left.get(parameter);
      if (i >= positional.length) left.delete(parameter);
      const missing = (): Value => (fallback ? evaluate(fallback, inner) : undefinedValue(`parameter '${parameter}' was not provided`));
      inner.variables.set(parameter, given === undefined ? missing() : given);
    }
    if (reads.has('caller') && !names.includes('caller')) {
      inner.variables.set('caller', left.get('caller') ?? undefinedValue('No caller defined'));
      left.delete('caller');
    }
    if (reads.has('kwargs')) inner.variables.set('kwargs', dictOf(left));
    else for (const key of left.keys()) raise('TypeError', `macro '${name}' takes no keyword argument '${key}'`);
    if (reads.has('varargs')) inner.variables.set('varargs', tuple(positional.slice(parameters.length)));
    else if (positional.length > parameters.length) raise('TypeError', `macro '${name}' takes not more than ${parameters.length} argument(s)`);
    return captured(body, inner);
  });
}

function runLoop(node: ForLoop, scope: Scope, output: Output, given: Value, depth: number): void {
  const recurse = (items: Value, below: number): Value => {
    const written: Output = { text: '', blocks: null };
    runLoop(node, scope, written, items, below);
    return written.text;
  };
  const { target, test, body, otherwise } = node;
  const filter =
    test &&
    ((value: Value): boolean => {
      const inner = within(scope);
      assign(target, value, inner);
      return truth(evaluate(test, inner));
    });
  const { loop, next } = loopItems(given, filter, node.isRecursive ? recurse : null, depth);
  let isEmpty = true;
  for (let value = next(); value !== undefined; value = next()) {
    isEmpty = false;
    const inner = within(scope);
    inner.variables.set('loop', loop);
    assign(target, value, inner);
    if (run(body, inner, output) === 'break') break;
  }
  if (isEmpty) outside(run(otherwise, within(scope), output));
}

/** A generation block: what it writes is what an answer is. */
function runGeneration(body: readonly Statement[], scope: Scope, output: Output): void {
  if (output.blocks === null) unsupported('{% generation %} within a macro, a call, a filter or a set block');
  const from = output.text.length;
  output.text += captured(body, within(scope));
  output.blocks?.push([from, output.text.length]);
}

function runOne(node: Statement, scope: Scope, output: Output): Jump {
  switch (node.kind) {
    case 'data':
      output.text += node.text;
      return undefined;
    case 'print':
      output.text += str(evaluate(node.expression, scope));
      return undefined;
    case 'if':
      return run(truth(evaluate(node.test, scope)) ? node.then : node.otherwise, scope, output);
    case 'for':
      runLoop(node, scope, output, evaluate(node.items, scope), 0);
      return undefined;
    case 'set':
      assign(node.target, evaluate(node.value, scope), scope);
      return undefined;
    case 'set block': {
      const text = captured(node.body, within(scope));
      assign(node.target, node.filter ? filtered(node.filter, scope, text) : text, scope);
      return undefined;
    }
    case 'macro':
      scope.variables.set(node.macro.name, macroValue(node.macro, scope));
      return undefined;
    case 'call block': {
      const { positional, keywords } = argumentsOf(node.args, scope);
      output.text += str(call(evaluate(node.callee, scope), { positional, keywords: new Map([...keywords, ['caller', macroValue(node.caller, scope)]]) }));
      return undefined;
    }
    case 'filter block':
      output.text += str(filtered(node.filter, scope, captured(node.body, within(scope))));
      return undefined;
    case 'with': {
      const inner = within(scope);
      for (const [target, value] of node.targets) assign(target, evaluate(value, scope), inner);
      return run(node.body, inner, output);
    }
    case 'generation':
      runGeneration(node.body, scope, output);
      return undefined;
    default:
      return node.kind;
  }
}

/** Runs statements one after the other. */
export function run(body: readonly Statement[], scope: Scope, output: Output): Jump {
  for (const node of body) {
    const jump = runOne(node, scope, output);
    if (jump) return jump;
  }
  return undefined;
}
