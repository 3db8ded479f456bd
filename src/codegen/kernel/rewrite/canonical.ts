/** @file A kernel in a form that is the same for kernels which do the same in the same way: the key by which pipelines are shared. */

import type { Expr, FragmentType, Kernel, Stmt } from '../ir.ts';

/** The number of a name, in order of appearance. */
type Numbers = (name: string) => number;

/** The number as text; zeros keep their sign. */
const number = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));
const fragment = ({ role, scalar, rows, cols }: FragmentType): string => `${role} ${scalar} ${rows} ${cols}`;

/**
 * The kernel's module as text, in which names are numbered. It leaves out comments, the kernel's own name, and the grid, which belongs to a
 * dispatch. Two kernels have equal texts exactly if a renaming makes one of the other.
 */
export function canonicalText({ buffers, shared, workgroup, uses, body }: Kernel): string {
  const numbers = new Map<string, number>();
  const of: Numbers = (name) => {
    const known = numbers.get(name);
    if (known !== undefined) return known;
    numbers.set(name, numbers.size);
    return numbers.size - 1;
  };
  const flags = [uses.subgroups, uses.f16, uses.matrices].map((used) => Number(used ?? false));
  return [
    `workgroup ${workgroup.join(' ')}`,
    `uses ${flags.join(' ')} ${uses.subgroupSize ?? 'any'}`,
    ...buffers.map(({ name, element, access }) => `buffer ${of(name)} ${element} ${access}`),
    ...shared.map(({ name, type, length }) => `shared ${of(name)} ${type} ${length}`),
    block(body, of),
  ].join(';');
}

const block = (body: readonly Stmt[], of: Numbers): string => `{${body.map((stmt) => stmtText(stmt, of)).join('')}}`;

function exprText(expr: Expr, of: Numbers): string {
  switch (expr.kind) {
    case 'const':
      return `${number(expr.value)}:${expr.type}`;
    case 'var':
      return `$${of(expr.name)}:${expr.type}`;
    case 'builtin':
      return expr.name;
    case 'param':
      return `param${expr.index}`;
    case 'bin':
      return `(${exprText(expr.a, of)} ${expr.op} ${exprText(expr.b, of)}):${expr.type}`;
    case 'un':
      return `(${expr.op} ${exprText(expr.a, of)}):${expr.type}`;
    case 'call':
      return `${expr.fn}(${expr.args.map((arg) => exprText(arg, of)).join()}):${expr.type}`;
    case 'vec':
      return `vec(${expr.parts.map((part) => exprText(part, of)).join()}):${expr.type}`;
    case 'component':
      return `${exprText(expr.of, of)}.(${exprText(expr.index, of)}):${expr.type}`;
    case 'load':
      return `load ${of(expr.buffer)}[${exprText(expr.index, of)}]:${expr.type}`;
    case 'element':
      return `element ${of(expr.array)}[${exprText(expr.index, of)}]:${expr.type}`;
  }
}

function stmtText(stmt: Stmt, of: Numbers): string {
  const text = (expr: Expr): string => exprText(expr, of);
  switch (stmt.kind) {
    case 'let':
      return `let ${of(stmt.name)} ${text(stmt.value)};`;
    case 'var':
      return `var ${of(stmt.name)} ${stmt.type} ${stmt.init === undefined ? '' : text(stmt.init)};`;
    case 'array':
      return `array ${of(stmt.name)} ${stmt.type} ${stmt.length};`;
    case 'set':
      return `set ${of(stmt.name)} ${text(stmt.value)};`;
    case 'setComponent':
      return `setComponent ${of(stmt.name)} ${text(stmt.index)} ${text(stmt.value)};`;
    case 'setElement':
      return `setElement ${of(stmt.array)} ${text(stmt.index)} ${text(stmt.value)};`;
    case 'store':
      return `store ${of(stmt.buffer)} ${text(stmt.index)} ${text(stmt.value)};`;
    case 'for':
      return `for ${of(stmt.name)} ${text(stmt.from)} ${text(stmt.to)} ${text(stmt.step)} ${block(stmt.body, of)}`;
    case 'if':
      return `if ${text(stmt.cond)} ${block(stmt.then, of)} ${block(stmt.else, of)}`;
    case 'barrier':
    case 'return':
      return `${stmt.kind};`;
    case 'comment':
      return '';
    case 'fragment':
      return `fragment ${of(stmt.name)} ${fragment(stmt.type)};`;
    case 'loadFragment':
      return `loadFragment ${of(stmt.name)} ${fragment(stmt.type)} ${of(stmt.array)} ${text(stmt.offset)} ${stmt.stride} ${stmt.by};`;
    case 'multiplyFragments':
      return `multiplyFragments ${of(stmt.result)} ${of(stmt.left)} ${of(stmt.right)};`;
    case 'storeFragment':
      return `storeFragment ${of(stmt.array)} ${text(stmt.offset)} ${stmt.stride} ${of(stmt.value)};`;
  }
}
