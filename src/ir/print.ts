/** @file Prints the text form of the IR, which ./parse.ts reads back to an equal module. docs/ir.md has the grammar. */

import { isDefault } from './attributes.ts';
import { opFlops } from './cost.ts';
import { isCall, isFused } from './ops/control.ts';
import { findOp } from './ops/index.ts';
import { type Attr, type DimSizes, type Func, type Module, type Op, type Param, type Result, typeText, type Value } from './types.ts';

/** Version of the text form. The parser refuses texts of any other version. */
export const TEXT_VERSION = 1;

export interface PrintOptions {
  /** Whether to print `loc(file:line:column)` behind each op whose source line is known. */
  readonly locs?: boolean;
  /** Prints `// … FLOP` behind each op, at these sizes of the run-time dimensions. */
  readonly costs?: DimSizes;
}

function attrText(attr: Attr): string {
  if (typeof attr === 'string') return JSON.stringify(attr);
  if (typeof attr === 'number' || typeof attr === 'boolean') return String(attr);
  return `[${attr.map((item) => (typeof item === 'string' ? JSON.stringify(item) : String(item))).join(', ')}]`;
}

function attrsText(attrs: Readonly<Record<string, Attr>>, hidden: readonly string[] = []): string {
  const shown = Object.entries(attrs).filter(([key]) => !hidden.includes(key));
  return shown.length === 0 ? '' : ` {${shown.map(([key, value]) => `${key} = ${attrText(value)}`).join(', ')}}`;
}

const names = (values: readonly Value[]): string => values.map((v) => `%${v.name}`).join(', ');

function suffix(op: Op, options: PrintOptions): string {
  const loc = op.results[0]?.loc;
  const where = options.locs && loc ? ` loc(${loc.file}:${loc.line}:${loc.column})` : '';
  if (!options.costs || isCall(op) || isFused(op)) return where;
  const flops = opFlops(op, options.costs);
  return flops > 0 ? `${where} // ${flops} FLOP` : where;
}

/** An op's operands as they are printed, by name, and the attributes that are printed behind them. */
function partsOf(op: Op, spell: (v: Value, marked: boolean) => string): { readonly operands: readonly string[]; readonly hidden: readonly string[] } {
  const { marks = [], attrs: specs = null } = findOp(op.name) ?? {};
  const operands = op.operands.map((v, i) => {
    const marked = op.attrs[marks[i] ?? ''] === true;
    return `${spell(v, marked)}${marked ? '^T' : ''}`;
  });
  const hidden = Object.entries(op.attrs).flatMap(([name, value]) => (marks.includes(name) || (specs && isDefault(specs, name, value)) ? [name] : []));
  return { operands, hidden };
}

/**
 * An op as a term of a formula: `x + y`, `exp(x)`, `reduce_sum(x, axes = [1])`. The shape of its result is left out.
 * @param spell returns what is written for an operand; `beside` says whether a sign or a mark stands beside it
 */
export function termText(op: Op, spell: (v: Value, beside: boolean) => string): string {
  const sign = findOp(op.name)?.sign;
  const { operands, hidden } = partsOf(op, (v, marked) => spell(v, marked || sign !== undefined));
  if (sign !== undefined) return operands.join(` ${sign} `);
  const attrs = Object.entries(op.attrs).filter(([name]) => name !== 'shape' && !hidden.includes(name));
  return `${op.name}(${[...operands, ...attrs.map(([name, value]) => `${name} = ${attrText(value)}`)].join(', ')})`;
}

function opText(op: Op, indent: string, options: PrintOptions): string {
  const left = op.results.length > 0 ? `${names(op.results)} = ` : '';
  const typed = op.results.length > 0 ? ` : ${op.results.map((r) => typeText(r.type)).join(', ')}` : '';
  const end = suffix(op, options);
  if (isCall(op)) {
    const { callee, site, ...rest } = op.attrs;
    const kept = Object.keys(rest).length > 0 ? attrsText(rest) : '';
    return `${indent}${left}call @${callee} [${site}](${names(op.operands)})${kept}${typed}${end}`;
  }
  if (isFused(op)) {
    const inner = (op.body?.ops ?? []).map((o) => opText(o, `${indent}  `, options)).join('\n');
    return `${indent}${left}fused${attrsText(op.attrs)} {\n${inner}\n${indent}}`;
  }
  const { operands, hidden } = partsOf(op, (v) => `%${v.name}`);
  return `${indent}${left}${op.name}${operands.length === 0 ? '' : ` ${operands.join(', ')}`}${attrsText(op.attrs, hidden)}${typed}${end}`;
}

function paramText({ value, role }: Param): string {
  return `${role === 'value' ? '' : `${role} `}%${value.name}: ${typeText(value.type)}`;
}

function resultText({ value, role, of }: Result): string {
  return `${role === 'value' ? '' : of === undefined ? `${role} ` : `${role}(${of}) `}%${value.name}`;
}

/** Prints one op, with the ops inside it if it is a group. */
export function printOp(op: Op, options: PrintOptions = {}): string {
  return opText(op, '', options);
}

/** Prints one function in the text form (docs/ir.md). */
export function printFunc(func: Func, options: PrintOptions = {}): string {
  const types = func.results.map((r) => typeText(r.value.type)).join(', ');
  const head = `func @${func.name}(${func.params.map(paramText).join(', ')}) -> (${types}) {`;
  const body = func.ops.map((op) => opText(op, '  ', options));
  return [head, ...body, `  return ${func.results.map(resultText).join(', ')}`.trimEnd(), '}'].join('\n');
}

/** Prints a module in the text form (docs/ir.md); `parseModule` reads it back. */
export function printModule(module: Module, options: PrintOptions = {}): string {
  const dims = Object.entries(module.dims).map(([name, bound]) => `${name} <= ${bound}`);
  const head = [`ebb ${TEXT_VERSION}`, ...(dims.length > 0 ? [`dims ${dims.join(', ')}`] : [])];
  return `${[head.join('\n'), ...module.funcs.map((f) => printFunc(f, options))].join('\n\n')}\n`;
}
