/** @file Checks a kernel before it is printed: names, types, features, limits, and barriers as far as one can see. */

import { at } from '../../../errors.ts';
import { bytesOf, type Expr, type FragmentType, type Kernel, type KType, PARAM_WORDS, type Stmt, scalarOf } from '../ir.ts';
import { exprsOf, operandsOf } from '../visit.ts';
import { fragmentProblems } from './fragments.ts';
import { typeProblem } from './types.ts';

/** What a device allows. */
export interface KernelLimits {
  readonly maxInvocations: number;
  readonly maxWorkgroupSize: readonly [number, number, number];
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupStorage: number;
  readonly maxStorageBuffers: number;
}

/** WebGPU's defaults, which every device allows. */
export const DEFAULT_LIMITS: KernelLimits = {
  maxInvocations: 256,
  maxWorkgroupSize: [256, 256, 64],
  maxWorkgroupStorage: 16384,
  maxStorageBuffers: 8,
};

/** Throws an error that lists everything wrong with the kernel. */
export function checkKernel(kernel: Kernel, limits: KernelLimits = DEFAULT_LIMITS): void {
  const problems = kernelProblems(kernel, limits);
  if (problems.length > 0) throw new Error(`internal: kernel ${kernel.name}: ${problems.join('; ')} (this is a defect in Ebb; please report it)`);
}

interface Name {
  readonly kind: 'let' | 'var' | 'loop' | 'array' | 'shared' | 'buffer' | 'fragment';
  readonly type: KType;
  readonly fragment?: FragmentType;
  readonly writable: boolean;
  /** Whether invocations of a workgroup may hold different values. */
  varies: boolean;
}

/** Everything found wrong, in order; empty for a well-formed kernel. */
export function kernelProblems(kernel: Kernel, limits: KernelLimits = DEFAULT_LIMITS): string[] {
  const problems: string[] = limitProblems(kernel, limits);
  const report = (problem: string): void => void problems.push(problem);
  const scopes: Map<string, Name>[] = [new Map()];
  const find = (name: string): Name | undefined => scopes.findLast((scope) => scope.has(name))?.get(name);
  const declare = (name: string, entry: Name): void => {
    if (find(name) !== undefined) report(`${name} is declared twice`);
    if (!/^[A-Za-z][A-Za-z0-9_]*(\.\d+)?$/.test(name))
      report(`${name} is no name: expected a letter, then letters, digits and underscores, then perhaps a dot and a number`);
    scopes.at(-1)?.set(name, entry);
  };
  for (const { name, element, access } of kernel.buffers) {
    declare(name, { kind: 'buffer', type: element, writable: access === 'read_write', varies: false });
  }
  for (const { name, type } of kernel.shared) declare(name, { kind: 'shared', type, writable: true, varies: false });

  /** Reports what is wrong with an expression; true if it may vary over the workgroup. */
  const visit = (expr: Expr): boolean => {
    const varies = operandsOf(expr).map(visit).includes(true);
    if (scalarOf(expr.type) === 'f16' && !kernel.uses.f16) report('f16 is used but not declared in `uses`');
    const problem = typeProblem(expr);
    if (problem !== null) report(problem);
    const known = (name: string, kinds: readonly Name['kind'][]): Name | undefined => {
      const entry = find(name);
      if (entry === undefined || !kinds.includes(entry.kind)) report(`${name} is not a ${kinds.join(' or ')} in scope`);
      else if (entry.type !== expr.type) report(`${name} is ${entry.type}, read as ${expr.type}`);
      return entry;
    };
    switch (expr.kind) {
      case 'var':
        return known(expr.name, ['let', 'var', 'loop'])?.varies ?? false;
      case 'load':
        known(expr.buffer, ['buffer']);
        return varies;
      case 'element':
        return (known(expr.array, ['array', 'shared'])?.varies ?? false) || varies;
      case 'builtin':
        return expr.name.startsWith('local') || expr.name === 'subgroupInvocation';
      case 'param':
        if (expr.index < 0 || expr.index >= PARAM_WORDS) report(`parameter word ${expr.index} is outside the ${PARAM_WORDS} there are`);
        return false;
      case 'call':
        if (expr.fn.startsWith('subgroup') && !kernel.uses.subgroups) report(`${expr.fn} is used but subgroups are not declared in \`uses\``);
        return varies;
      default:
        return varies;
    }
  };

  // Whether invocations may have parted ways for good (a return some of them took).
  let parted = false;
  const block = (body: readonly Stmt[], divergent: boolean): void => {
    scopes.push(new Map());
    for (const stmt of body) statement(stmt, divergent);
    scopes.pop();
  };
  const assign = (name: string, kinds: readonly Name['kind'][], type: KType | null, varies: boolean): void => {
    const entry = find(name);
    if (entry === undefined || !kinds.includes(entry.kind)) {
      report(`${name} is not a ${kinds.join(' or ')} in scope`);
      return;
    }
    if (!entry.writable) report(`${name} is read-only`);
    if (type !== null && entry.type !== type) report(`${name} is ${entry.type}, assigned ${type}`);
    // workgroup memory and buffers may be read back uniformly; registers that got different values may not
    if (varies && (entry.kind === 'var' || entry.kind === 'array')) entry.varies = true;
  };
  const statement = (stmt: Stmt, divergent: boolean): void => {
    const varies = exprsOf(stmt).map(visit).includes(true);
    switch (stmt.kind) {
      case 'let':
        declare(stmt.name, { kind: 'let', type: stmt.value.type, writable: false, varies });
        break;
      case 'var':
        if (stmt.init !== undefined && stmt.init.type !== stmt.type) report(`${stmt.name} is ${stmt.type}, initialised with ${stmt.init.type}`);
        declare(stmt.name, { kind: 'var', type: stmt.type, writable: true, varies });
        break;
      case 'array':
        declare(stmt.name, { kind: 'array', type: stmt.type, writable: true, varies: false });
        break;
      case 'set':
        assign(stmt.name, ['var'], stmt.value.type, varies || divergent);
        break;
      case 'setComponent': {
        const entry = find(stmt.name);
        if (entry !== undefined && scalarOf(entry.type) !== stmt.value.type)
          report(`a component of ${stmt.name} is ${scalarOf(entry.type)}, assigned ${stmt.value.type}`);
        assign(stmt.name, ['var'], null, varies || divergent);
        break;
      }
      case 'setElement':
        assign(stmt.array, ['array', 'shared'], stmt.value.type, varies || divergent);
        break;
      case 'store':
        assign(stmt.buffer, ['buffer'], stmt.value.type, false);
        break;
      case 'for': {
        const types = new Set([stmt.from.type, stmt.to.type, stmt.step.type]);
        if (types.size > 1 || !['u32', 'i32'].includes(stmt.from.type)) report(`loop ${stmt.name} counts over ${[...types].join(', ')}`);
        scopes.push(new Map());
        declare(stmt.name, { kind: 'loop', type: stmt.from.type, writable: false, varies });
        block(stmt.body, divergent || varies);
        scopes.pop();
        break;
      }
      case 'if':
        if (stmt.cond.type !== 'bool') report(`a condition is ${stmt.cond.type}, not bool`);
        block(stmt.then, divergent || varies);
        block(stmt.else, divergent || varies);
        break;
      case 'return':
        parted ||= divergent;
        break;
      case 'barrier':
        if (divergent) report('a barrier stands where only some invocations of the workgroup may come');
        else if (parted) report('a barrier stands after a return that some invocations of the workgroup may take');
        break;
      case 'comment':
        break;
      case 'fragment':
      case 'loadFragment':
      case 'storeFragment':
      case 'multiplyFragments':
        for (const problem of fragmentProblems(stmt, find)) report(problem);
        if (!kernel.uses.matrices) report('a fragment is used but matrices are not declared in `uses`');
        if (divergent || parted) report('a fragment is used where only some invocations of the workgroup may come');
        if ('type' in stmt) {
          if (stmt.type.scalar === 'f16' && !kernel.uses.f16) report('f16 is used but not declared in `uses`');
          declare(stmt.name, { kind: 'fragment', type: stmt.type.scalar, fragment: stmt.type, writable: true, varies: true });
        } else if (stmt.kind === 'storeFragment') assign(stmt.array, ['shared'], null, false);
        break;
    }
  };
  block(kernel.body, false);
  return problems;
}

/** Bytes of a kernel's workgroup memory as WebGPU counts them: each array is whole multiples of 16. */
export function workgroupBytes({ shared }: Pick<Kernel, 'shared'>): number {
  return shared.reduce((sum, { type, length }) => sum + Math.ceil((bytesOf(type) * length) / 16) * 16, 0);
}

function limitProblems(kernel: Kernel, limits: KernelLimits): string[] {
  const problems: string[] = [];
  const invocations = kernel.workgroup.reduce((product, size) => product * size, 1);
  if (kernel.workgroup.some((size) => !Number.isInteger(size) || size < 1)) problems.push(`the workgroup ${kernel.workgroup.join(' × ')} is no shape`);
  if (invocations > limits.maxInvocations) problems.push(`${invocations} invocations a workgroup, the device allows ${limits.maxInvocations}`);
  kernel.workgroup.forEach((size, axis) => {
    const most = at(limits.maxWorkgroupSize, axis);
    if (size > most) problems.push(`workgroup size ${size} along ${'xyz'[axis]}, the device allows ${most}`);
  });
  const bytes = workgroupBytes(kernel);
  if (bytes > limits.maxWorkgroupStorage) problems.push(`${bytes} bytes of workgroup memory, the device allows ${limits.maxWorkgroupStorage}`);
  if (kernel.buffers.length > limits.maxStorageBuffers)
    problems.push(`${kernel.buffers.length} storage buffers, the device allows ${limits.maxStorageBuffers}`);
  return problems;
}
