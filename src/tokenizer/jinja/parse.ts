/** @file Reads a template as a tree, by the grammar of Jinja2's parser, with transformers' tag `generation` and the extension `loopcontrols`. */

import { expressionReader } from './expressions.ts';
import { unsupported } from './failure.ts';
import { streamOf } from './stream.ts';
import { tokenize } from './tokens.ts';
import type { Expression, MacroBody, Statement } from './tree.ts';

/** Tags that Jinja2 has and this engine does not. */
const UNSUPPORTED: ReadonlySet<string> = new Set(['autoescape', 'block', 'extends', 'from', 'import', 'include', 'print']);
const IMPLICIT: readonly string[] = ['caller', 'varargs', 'kwargs'];

/** Calls a function with every node of a tree. */
function eachNode(node: unknown, visit: (node: Readonly<Record<string, unknown>>) => void): void {
  if (Array.isArray(node)) for (const inner of node) eachNode(inner, visit);
  else if (typeof node === 'object' && node !== null) {
    visit(node as Readonly<Record<string, unknown>>);
    for (const inner of Object.values(node)) eachNode(inner, visit);
  }
}

/** Which of the variables that a macro has of itself its body reads. */
function implicitNames(body: readonly Statement[]): ReadonlySet<string> {
  const found = new Set<string>();
  eachNode(body, ({ kind, name }) => {
    if (kind === 'name' && typeof name === 'string' && IMPLICIT.includes(name)) found.add(name);
  });
  return found;
}

/** What a template is made of. */
export interface Template {
  readonly body: readonly Statement[];
  readonly hasGeneration: boolean;
  /** All texts that its expressions hold, such as the roles that it tells apart. */
  readonly texts: ReadonlySet<string>;
}

/** @throws TemplateError for what is no template */
export function parseTemplate(source: string): Template {
  const stream = streamOf(tokenize(source));
  const { expression, tuple, filters, blockFilters, target } = expressionReader(stream);

  /** Statements up to a tag of one of the names, which is next then. Without names, up to the end. */
  function statements(ends: readonly string[]): readonly Statement[] {
    const body: Statement[] = [];
    for (;;) {
      if (stream.is('end')) return ends.length === 0 ? body : stream.fail(`unexpected end of template, expected ${ends.join(' or ')}`);
      if (stream.is('data')) body.push({ kind: 'data', text: stream.next().text });
      else if (stream.skip('print begin')) {
        body.push({ kind: 'print', expression: tuple() });
        stream.expect('print end');
      } else {
        stream.expect('block begin');
        if (stream.is('name') && ends.includes(stream.peek().text)) return body;
        body.push(statement());
        stream.expect('block end');
      }
    }
  }

  /** What stands between the tag that is being read and the one that ends it, whose name is taken. */
  function block(...ends: readonly string[]): readonly Statement[] {
    stream.skip('operator', ':');
    stream.expect('block end');
    return statements(ends);
  }
  const blockTo = (end: string): readonly Statement[] => {
    const body = block(end);
    stream.next();
    return body;
  };

  function statement(): Statement {
    const { text: tag } = stream.expect('name');
    switch (tag) {
      case 'for':
        return forLoop();
      case 'if':
        return condition();
      case 'set':
        return assignment();
      case 'macro': {
        const name = stream.expect('name').text;
        return { kind: 'macro', macro: macro(name, parameters(), 'endmacro') };
      }
      case 'call': {
        const given = stream.is('operator', '(') ? parameters() : [];
        const called = expression();
        if (called.kind !== 'call') return stream.fail('expected call');
        return { kind: 'call block', callee: called.callee, args: called.args, caller: macro('caller', given, 'endcall') };
      }
      case 'filter': {
        const filter = blockFilters();
        return { kind: 'filter block', filter, body: blockTo('endfilter') };
      }
      case 'with':
        return withBlock();
      case 'generation':
        return { kind: 'generation', body: blockTo('endgeneration') };
      case 'break':
      case 'continue':
        return { kind: tag };
      default:
        return UNSUPPORTED.has(tag) ? unsupported(`{% ${tag} %}`) : stream.fail(`Encountered unknown tag '${tag}'`);
    }
  }

  function forLoop(): Statement {
    const item = target('in', false);
    stream.expect('name', 'in');
    const items = tuple({ conditional: false, endsAt: 'recursive' });
    const test = stream.skip('name', 'if') ? expression() : null;
    const isRecursive = stream.skip('name', 'recursive');
    const body = block('endfor', 'else');
    const otherwise = stream.next().text === 'else' ? blockTo('endfor') : [];
    return { kind: 'for', target: item, items, test, isRecursive, body, otherwise };
  }

  function condition(): Statement {
    const test = tuple({ conditional: false });
    const then = block('elif', 'else', 'endif');
    const { text: next } = stream.next();
    const otherwise = next === 'elif' ? [condition()] : next === 'else' ? blockTo('endif') : [];
    return { kind: 'if', test, then, otherwise };
  }

  function assignment(): Statement {
    const to = target(null, true);
    if (stream.skip('operator', '=')) return { kind: 'set', target: to, value: tuple() };
    const filter = filters(null);
    return { kind: 'set block', target: to, filter, body: blockTo('endset') };
  }

  function parameters(): readonly (readonly [string, Expression | null])[] {
    const found: (readonly [string, Expression | null])[] = [];
    stream.expect('operator', '(');
    while (!stream.is('operator', ')')) {
      if (found.length > 0) stream.expect('operator', ',');
      const name = stream.expect('name').text;
      const fallback = stream.skip('operator', '=') ? expression() : null;
      if (fallback === null && found.some(([, other]) => other !== null)) stream.fail('non-default argument follows default argument');
      found.push([name, fallback]);
    }
    stream.expect('operator', ')');
    return found;
  }

  function macro(name: string, given: MacroBody['parameters'], end: string): MacroBody {
    const body = blockTo(end);
    return { name, parameters: given, body, reads: implicitNames(body) };
  }

  function withBlock(): Statement {
    const targets: (readonly [ReturnType<typeof target>, Expression])[] = [];
    while (!stream.is('block end')) {
      if (targets.length > 0) stream.expect('operator', ',');
      const to = target(null, false);
      stream.expect('operator', '=');
      targets.push([to, expression()]);
    }
    return { kind: 'with', targets, body: blockTo('endwith') };
  }

  const body = statements([]);
  const texts = new Set<string>();
  let hasGeneration = false;
  eachNode(body, ({ kind, value }) => {
    if (kind === 'constant' && typeof value === 'string') texts.add(value);
    if (kind === 'generation') hasGeneration = true;
  });
  return { body, hasGeneration, texts };
}
