/** @file Reads expressions, by the grammar of Jinja2's parser. */

import type { Arithmetic, Comparison } from './operators.ts';
import type { TokenStream } from './stream.ts';
import type { CallArguments, Expression, Filter, Target } from './tree.ts';
import type { Value } from './values.ts';

const NOTHING: CallArguments = { positional: [], keywords: [], rest: null, named: null };
const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

const constant = (value: Value): Expression => ({ kind: 'constant', value });

/** How expressions with commas are read. */
interface TupleOptions {
  /** Whether `x if y` may stand in it. */
  readonly conditional?: boolean;
  /** A name behind which it ends. */
  readonly endsAt?: string;
  /** Whether it stands in parentheses, and so may be empty. */
  readonly inParentheses?: boolean;
}

export interface ExpressionReader {
  expression(): Expression;
  /** One expression, or several with commas, which are a tuple. */
  tuple(options?: TupleOptions): Expression;
  /** Filters behind an operand. */
  filters(operand: Expression | null): Filter | null;
  /** The filters of a block, of which the first has no `|` in front. */
  blockFilters(): Filter;
  /** What is assigned to. @param endsAt a name behind which it ends @param members whether `a.b` may be */
  target(endsAt: string | null, members: boolean): Target;
}

export function expressionReader(stream: TokenStream): ExpressionReader {
  const operator = (text: string): boolean => stream.is('operator', text);

  /** Operators of one rank, from left to right. */
  const chain = (signs: readonly Arithmetic[], inner: () => Expression) => (): Expression => {
    let left = inner();
    for (;;) {
      const sign = signs.find((one) => stream.skip('operator', one));
      if (sign === undefined) return left;
      left = { kind: 'arithmetic', sign, left, right: inner() };
    }
  };

  function expression(): Expression {
    let result = or();
    while (stream.skip('name', 'if')) {
      const test = or();
      result = { kind: 'conditional', test, then: result, otherwise: stream.skip('name', 'else') ? expression() : null };
    }
    return result;
  }

  const logic = (kind: 'and' | 'or', inner: () => Expression) => (): Expression => {
    let left = inner();
    while (stream.skip('name', kind)) left = { kind, left, right: inner() };
    return left;
  };
  const not = (): Expression => (stream.skip('name', 'not') ? { kind: 'not', operand: not() } : comparison());
  const and = logic('and', not);
  const or = logic('or', and);

  function comparisonSign(): Comparison | undefined {
    if (stream.peek().type === 'operator' && COMPARISONS.has(stream.peek().text)) return stream.next().text as Comparison;
    if (stream.skip('name', 'in')) return 'in';
    if (!stream.is('name', 'not') || stream.peek(1).type !== 'name' || stream.peek(1).text !== 'in') return undefined;
    stream.next();
    stream.next();
    return 'not in';
  }

  function comparison(): Expression {
    const first = sum();
    const rest: (readonly [Comparison, Expression])[] = [];
    for (;;) {
      const sign = comparisonSign();
      if (sign === undefined) return rest.length === 0 ? first : { kind: 'compare', first, rest };
      rest.push([sign, sum()]);
    }
  }

  const power = chain(['**'], () => unary(true));
  const product = chain(['*', '//', '/', '%'], power);
  function concat(): Expression {
    const items = [product()];
    while (stream.skip('operator', '~')) items.push(product());
    const [only] = items;
    return items.length === 1 && only ? only : { kind: 'concat', items };
  }
  const sum = chain(['+', '-'], concat);

  function unary(withFilters: boolean): Expression {
    const sign = (['-', '+'] as const).find((one) => stream.skip('operator', one));
    const operand: Expression = sign === undefined ? primary() : { kind: 'sign', sign, operand: unary(false) };
    const whole = postfix(operand);
    return withFilters ? filtered(whole) : whole;
  }

  function primary(): Expression {
    const token = stream.peek();
    switch (token.type) {
      case 'name': {
        stream.next();
        const value = CONSTANTS.get(token.text);
        return value === undefined ? { kind: 'name', name: token.text } : constant(value);
      }
      case 'string': {
        let text = '';
        while (stream.is('string')) text += stream.next().text;
        return constant(text);
      }
      case 'integer':
        stream.next();
        return constant(BigInt(token.text.replaceAll('_', '')));
      case 'float':
        stream.next();
        return constant(Number(token.text.replaceAll('_', '')));
      default:
        return bracketed();
    }
  }

  function bracketed(): Expression {
    if (stream.skip('operator', '(')) {
      const inner = tuple({ inParentheses: true });
      stream.expect('operator', ')');
      return inner;
    }
    if (stream.skip('operator', '[')) return { kind: 'list', items: separated(']', expression) };
    if (!stream.skip('operator', '{')) return stream.fail(`unexpected ${stream.peek().text || stream.peek().type}`);
    const pairs = separated('}', (): readonly [Expression, Expression] => {
      const key = expression();
      stream.expect('operator', ':');
      return [key, expression()];
    });
    return { kind: 'dict', pairs };
  }

  /** Parts with commas between them, up to a closing bracket. A comma may stand behind the last one. */
  function separated<T>(close: string, part: () => T): readonly T[] {
    const parts: T[] = [];
    while (!operator(close)) {
      if (parts.length > 0) stream.expect('operator', ',');
      if (operator(close)) break;
      parts.push(part());
    }
    stream.expect('operator', close);
    return parts;
  }

  const endsTuple = (endsAt: string | undefined): boolean =>
    stream.is('print end') || stream.is('block end') || operator(')') || (endsAt !== undefined && stream.is('name', endsAt));

  function tuple({ conditional = true, endsAt, inParentheses = false }: TupleOptions = {}): Expression {
    const items: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) stream.expect('operator', ',');
      if (endsTuple(endsAt)) break;
      items.push(conditional ? expression() : or());
      if (!operator(',')) break;
      isTuple = true;
    }
    const [only] = items;
    if (!isTuple && only) return only;
    if (!isTuple && !inParentheses) return stream.fail(`Expected an expression, got ${stream.peek().text || stream.peek().type}`);
    return { kind: 'tuple', items };
  }

  function postfix(first: Expression): Expression {
    let node = first;
    for (;;) {
      if (operator('.')) node = dotted(node);
      else if (operator('[')) node = subscript(node);
      else if (operator('(')) node = { kind: 'call', callee: node, args: callArguments() };
      else return node;
    }
  }

  function filtered(first: Expression): Expression {
    let node = first;
    for (;;) {
      if (operator('|')) node = filters(node) ?? node;
      else if (stream.is('name', 'is')) node = test(node);
      else if (operator('(')) node = { kind: 'call', callee: node, args: callArguments() };
      else return node;
    }
  }

  function dotted(object: Expression): Expression {
    stream.expect('operator', '.');
    const token = stream.next();
    if (token.type === 'name') return { kind: 'attribute', object, name: token.text };
    return token.type === 'integer' ? { kind: 'item', object, key: constant(BigInt(token.text)) } : stream.fail('expected name or number');
  }

  function subscript(object: Expression): Expression {
    stream.expect('operator', '[');
    const bound = (): Expression | null => (operator(':') || operator(']') ? null : expression());
    const from = bound();
    if (stream.skip('operator', ':')) {
      const to = bound();
      const step = stream.skip('operator', ':') ? bound() : null;
      stream.expect('operator', ']');
      return { kind: 'slice', object, from, to, step };
    }
    const keys = from === null ? [] : [from];
    while (stream.skip('operator', ',')) keys.push(expression());
    stream.expect('operator', ']');
    const [only] = keys;
    return { kind: 'item', object, key: keys.length === 1 && only ? only : { kind: 'tuple', items: keys } };
  }

  function callArguments(): CallArguments {
    const positional: Expression[] = [];
    const keywords: (readonly [string, Expression])[] = [];
    let rest: Expression | null = null;
    let named: Expression | null = null;
    const ensure = (isRight: boolean): void => {
      if (!isRight) stream.fail('invalid syntax for function call expression');
    };
    stream.expect('operator', '(');
    separated(')', () => {
      if (stream.skip('operator', '*')) {
        ensure(rest === null && named === null);
        rest = expression();
      } else if (stream.skip('operator', '**')) {
        ensure(named === null);
        named = expression();
      } else if (stream.is('name') && stream.peek(1).type === 'operator' && stream.peek(1).text === '=') {
        ensure(named === null);
        const name = stream.next().text;
        stream.next();
        keywords.push([name, expression()]);
      } else {
        ensure(rest === null && named === null && keywords.length === 0);
        positional.push(expression());
      }
    });
    return { positional, keywords, rest, named };
  }

  /** The name of a filter or a test, and what is given to it. */
  function dottedName(): string {
    let name = stream.expect('name').text;
    while (stream.skip('operator', '.')) name += `.${stream.expect('name').text}`;
    return name;
  }

  function filter(operand: Expression | null): Filter {
    const name = dottedName();
    return { kind: 'filter', operand, name, args: operator('(') ? callArguments() : NOTHING };
  }

  function filters(operand: Expression | null): Filter | null {
    let node: Filter | null = null;
    while (stream.skip('operator', '|')) node = filter(node ?? operand);
    return node;
  }

  function blockFilters(): Filter {
    const first = filter(null);
    return filters(first) ?? first;
  }

  /** Whether what comes next is an argument of a test that stands without parentheses. */
  function hasArgument(): boolean {
    const { type, text } = stream.peek();
    if (type === 'name') return !['else', 'or', 'and'].includes(text);
    return type === 'string' || type === 'integer' || type === 'float' || operator('[') || operator('{');
  }

  function testArguments(): CallArguments {
    if (operator('(')) return callArguments();
    if (!hasArgument()) return NOTHING;
    if (stream.is('name', 'is')) stream.fail('You cannot chain multiple tests with is');
    return { ...NOTHING, positional: [postfix(primary())] };
  }

  function test(operand: Expression): Expression {
    stream.expect('name', 'is');
    const isNegated = stream.skip('name', 'not');
    const name = dottedName();
    const found: Expression = { kind: 'test', operand, name, args: testArguments() };
    return isNegated ? { kind: 'not', operand: found } : found;
  }

  function target(endsAt: string | null, members: boolean): Target {
    const items: Target[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) stream.expect('operator', ',');
      if (operator('=') || endsTuple(endsAt ?? undefined)) break;
      items.push(oneTarget(members));
      if (!operator(',')) break;
      isTuple = true;
    }
    const [only] = items;
    if (!isTuple && only) return only;
    return isTuple ? { kind: 'tuple', items } : stream.fail('expected a name that is assigned to');
  }

  function oneTarget(members: boolean): Target {
    if (stream.skip('operator', '(')) {
      const inner = target(null, members);
      stream.expect('operator', ')');
      return inner;
    }
    const name = stream.expect('name').text;
    if (CONSTANTS.has(name)) return stream.fail(`can't assign to ${name}`);
    return members && stream.skip('operator', '.') ? { kind: 'member', namespace: name, name: stream.expect('name').text } : { kind: 'name', name };
  }

  return { expression, tuple, filters, blockFilters, target };
}
