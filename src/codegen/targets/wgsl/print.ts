/** @file Prints a kernel as WGSL. No other place writes WGSL, and the same kernel always prints as the same text. */

import { type Builtin, type FragmentType, isVector, type Kernel, type KType, PARAM_WORDS, type Stmt, scalarOf } from '../../kernel/ir.ts';
import { printExpr } from './printExpr.ts';
import { builtinsOf } from './used.ts';

const BUILTIN_ARGUMENT: Record<Builtin, string> = {
  localX: '@builtin(local_invocation_id) local: vec3<u32>',
  localY: '@builtin(local_invocation_id) local: vec3<u32>',
  localZ: '@builtin(local_invocation_id) local: vec3<u32>',
  localIndex: '@builtin(local_invocation_index) local_index: u32',
  workgroupX: '@builtin(workgroup_id) workgroup: vec3<u32>',
  workgroupY: '@builtin(workgroup_id) workgroup: vec3<u32>',
  workgroupZ: '@builtin(workgroup_id) workgroup: vec3<u32>',
  numWorkgroupsX: '@builtin(num_workgroups) num_workgroups: vec3<u32>',
  subgroupInvocation: '@builtin(subgroup_invocation_id) subgroup_invocation: u32',
  subgroupSize: '@builtin(subgroup_size) subgroup_size: u32',
};

/** WGSL's name of a type. */
function printType(type: KType): string {
  return type;
}

/** WGSL's name of a fragment's type, in which columns stand before rows. */
function printFragmentType({ role, scalar, rows, cols }: FragmentType): string {
  return `subgroup_matrix_${role}<${scalar}, ${cols}, ${rows}>`;
}

/**
 * The whole WGSL module of a kernel whose names are clear of WGSL's: entry point `main`, the uniform block at binding 0 and buffer i at
 * binding i + 1, all in group 0.
 */
export function printWgsl(kernel: Kernel): string {
  const lines: string[] = [`// ${kernel.name}`];
  if (kernel.uses.f16) lines.push('enable f16;');
  if (kernel.uses.subgroups) lines.push('enable subgroups;', 'diagnostic(off, subgroup_uniformity);');
  // Which fragments a workgroup multiplies goes by the subgroup, which is uniform although no compiler can tell.
  if (kernel.uses.matrices) lines.push('enable chromium_experimental_subgroup_matrix;', 'diagnostic(off, chromium.subgroup_matrix_uniformity);');
  lines.push('', `@group(0) @binding(0) var<uniform> params: array<vec4<u32>, ${PARAM_WORDS / 4}>;`);
  kernel.buffers.forEach(({ name, element, access }, index) => {
    lines.push(`@group(0) @binding(${index + 1}) var<storage, ${access}> ${name}: array<${printType(element)}>;`);
  });
  for (const { name, type, length } of kernel.shared) {
    lines.push(`var<workgroup> ${name}: array<${printType(type)}, ${length}>;`);
  }
  const args = [...new Set(builtinsOf(kernel.body).map((name) => BUILTIN_ARGUMENT[name]))];
  lines.push('', `@compute @workgroup_size(${kernel.workgroup.join(', ')})`);
  lines.push(args.length === 0 ? 'fn main() {' : `fn main(${args.join(', ')}) {`);
  lines.push(...printBody(kernel.body, '  '), '}', '');
  return lines.join('\n');
}

/** Statements, one a line. */
export function printBody(body: readonly Stmt[], indent: string): string[] {
  return body.flatMap((stmt) => printStmt(stmt, indent));
}

function printStmt(stmt: Stmt, indent: string): string[] {
  const line = (text: string): string[] => [indent + text];
  const block = (body: readonly Stmt[]): string[] => printBody(body, `${indent}  `);
  switch (stmt.kind) {
    case 'let':
      return line(`let ${stmt.name} = ${printExpr(stmt.value)};`);
    case 'var': {
      const init = stmt.init === undefined ? zero(stmt.type) : printExpr(stmt.init);
      return line(`var ${stmt.name}: ${printType(stmt.type)} = ${init};`);
    }
    case 'array':
      return line(`var ${stmt.name}: array<${printType(stmt.type)}, ${stmt.length}>;`);
    case 'set':
      return line(`${stmt.name} = ${printExpr(stmt.value)};`);
    case 'setComponent':
      return line(`${stmt.name}[${printExpr(stmt.index)}] = ${printExpr(stmt.value)};`);
    case 'setElement':
      return line(`${stmt.array}[${printExpr(stmt.index)}] = ${printExpr(stmt.value)};`);
    case 'store':
      return line(`${stmt.buffer}[${printExpr(stmt.index)}] = ${printExpr(stmt.value)};`);
    case 'for': {
      const { name, from, to, step, body } = stmt;
      const start = `var ${name}: ${printType(from.type)} = ${printExpr(from)}`;
      const head = `for (${start}; ${name} < ${printExpr(to, 'shift')}; ${name} += ${printExpr(step)}) {`;
      return [...line(head), ...block(body), ...line('}')];
    }
    case 'if': {
      const otherwise = stmt.else.length === 0 ? [] : [...line('} else {'), ...block(stmt.else)];
      return [...line(`if (${printExpr(stmt.cond)}) {`), ...block(stmt.then), ...otherwise, ...line('}')];
    }
    case 'barrier':
      return line('workgroupBarrier();');
    case 'fragment':
      return line(`var ${stmt.name}: ${printFragmentType(stmt.type)};`);
    case 'loadFragment': {
      const by = stmt.by === 'rows' ? 'row_major' : 'col_major';
      return line(`let ${stmt.name} = subgroupMatrixLoad<${printFragmentType(stmt.type)}, ${by}>(&${stmt.array}, ${printExpr(stmt.offset)}, ${stmt.stride}u);`);
    }
    case 'multiplyFragments':
      return line(`${stmt.result} = subgroupMatrixMultiplyAccumulate(${stmt.left}, ${stmt.right}, ${stmt.result});`);
    case 'storeFragment':
      return line(`subgroupMatrixStore<row_major>(&${stmt.array}, ${printExpr(stmt.offset)}, ${stmt.value}, ${stmt.stride}u);`);
    case 'return':
      return line('return;');
    case 'comment':
      return line(`// ${stmt.text.replace(/[\r\n]+/g, ' ')}`);
  }
}

function zero(type: KType): string {
  return isVector(type) || scalarOf(type) === 'bool' ? `${printType(type)}()` : printExpr({ kind: 'const', type, value: 0 });
}
