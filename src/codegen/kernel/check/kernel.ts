/** @file Checks a kernel: names, types, features, limits, and barriers as far as one can see. */

import { invariant } from '../../../errors.ts';
import { type Expr, type FragmentStmt, type Kernel, type KType, PARAM_WORDS, type Stmt, scalarOf } from '../ir.ts';
import { exprsOf, operandsOf } from '../visit.ts';
import { fragmentProblems } from './fragments.ts';
import { DEFAULT_LIMITS, type KernelLimits, limitProblems } from './limits.ts';
import { type Name, openScopes, type Scopes } from './scopes.ts';
import { typeProblem } from './types.ts';

/** Throws an error that lists everything wrong with the kernel. */
export function checkKernel(kernel: Kernel, limits: KernelLimits = DEFAULT_LIMITS): void {
  const problems = kernelProblems(kernel, limits);
  invariant(problems.length === 0, `kernel ${kernel.name}: ${problems.join('; ')}`);
}

/** Everything found wrong, in order; empty for a well-formed kernel. */
export function kernelProblems(kernel: Kernel, limits: KernelLimits = DEFAULT_LIMITS): readonly string[] {
  const problems = [...limitProblems(kernel, limits)];
  const reading: Reading = { uses: kernel.uses, scopes: openScopes(), report: (problem) => void problems.push(problem), parted: false };
  for (const { name, element, access } of kernel.buffers)
    declare(reading, name, { kind: 'buffer', type: element, writable: access === 'read_write', varies: false });
  for (const { name, type } of kernel.shared) declare(reading, name, { kind: 'shared', type, writable: true, varies: false });
  readBlock(reading, kernel.body, false);
  return problems;
}

/** A kernel that is read from its start. */
interface Reading {
  readonly uses: Kernel['uses'];
  readonly scopes: Scopes;
  readonly report: (problem: string) => void;
  /** Whether invocations may have parted ways for good: some of them may have taken a return. */
  parted: boolean;
}

function declare({ scopes, report }: Reading, name: string, entry: Name): void {
  if (scopes.find(name) !== undefined) report(`${name} is declared twice`);
  if (!/^[A-Za-z][A-Za-z0-9_]*(\.\d+)?$/.test(name))
    report(`${name} is no name: expected a letter, then letters, digits and underscores, then perhaps a dot and a number`);
  scopes.declare(name, entry);
}

/** The name in scope, which has to be of one of those kinds. */
function known({ scopes, report }: Reading, name: string, kinds: readonly Name['kind'][]): Name | null {
  const entry = scopes.find(name);
  if (entry !== undefined && kinds.includes(entry.kind)) return entry;
  report(`${name} is not a ${kinds.join(' or ')} in scope`);
  return null;
}

/** Whether what a name holds may vary over the workgroup. */
function readName(reading: Reading, name: string, type: KType, kinds: readonly Name['kind'][]): boolean {
  const entry = known(reading, name, kinds);
  if (entry !== null && entry.type !== type) reading.report(`${name} is ${entry.type}, read as ${type}`);
  return entry?.varies ?? false;
}

/** Reports what is wrong with an expression; true if it may vary over the workgroup. */
function readExpr(reading: Reading, expr: Expr): boolean {
  const { uses, report } = reading;
  const varies = operandsOf(expr)
    .map((operand) => readExpr(reading, operand))
    .includes(true);
  if (scalarOf(expr.type) === 'f16' && !uses.f16) report('f16 is used but not declared in `uses`');
  const problem = typeProblem(expr);
  if (problem !== null) report(problem);
  switch (expr.kind) {
    case 'var':
      return readName(reading, expr.name, expr.type, ['let', 'var', 'loop']);
    case 'load':
      return readName(reading, expr.buffer, expr.type, ['buffer']) || varies;
    case 'element':
      return readName(reading, expr.array, expr.type, ['array', 'shared']) || varies;
    case 'builtin':
      return expr.name.startsWith('local') || expr.name === 'subgroupInvocation';
    case 'param':
      if (expr.index < 0 || expr.index >= PARAM_WORDS) report(`parameter word ${expr.index} is outside the ${PARAM_WORDS} there are`);
      return false;
    case 'call':
      if (expr.fn.startsWith('subgroup') && !uses.subgroups) report(`${expr.fn} is used but subgroups are not declared in \`uses\``);
      return varies;
    default:
      return varies;
  }
}

/** Reads a block of statements. @param divergent whether only some invocations of the workgroup may come here */
function readBlock(reading: Reading, body: readonly Stmt[], divergent: boolean): void {
  reading.scopes.within(() => {
    for (const stmt of body) readStmt(reading, stmt, divergent);
  });
}

function readStmt(reading: Reading, stmt: Stmt, divergent: boolean): void {
  const { report } = reading;
  const varies = exprsOf(stmt)
    .map((expr) => readExpr(reading, expr))
    .includes(true);
  switch (stmt.kind) {
    case 'let':
      declare(reading, stmt.name, { kind: 'let', type: stmt.value.type, writable: false, varies });
      break;
    case 'var':
      if (stmt.init !== undefined && stmt.init.type !== stmt.type) report(`${stmt.name} is ${stmt.type}, initialised with ${stmt.init.type}`);
      declare(reading, stmt.name, { kind: 'var', type: stmt.type, writable: true, varies });
      break;
    case 'array':
      declare(reading, stmt.name, { kind: 'array', type: stmt.type, writable: true, varies: false });
      break;
    case 'set':
    case 'setComponent':
    case 'setElement':
    case 'store':
      readAssignment(reading, stmt, varies || divergent);
      break;
    case 'for':
      readLoop(reading, stmt, varies, divergent);
      break;
    case 'if':
      if (stmt.cond.type !== 'bool') report(`a condition is ${stmt.cond.type}, not bool`);
      for (const block of [stmt.then, stmt.else]) readBlock(reading, block, divergent || varies);
      break;
    case 'return':
      reading.parted ||= divergent;
      break;
    case 'barrier':
      if (divergent) report('a barrier stands where only some invocations of the workgroup may come');
      else if (reading.parted) report('a barrier stands after a return that some invocations of the workgroup may take');
      break;
    case 'comment':
      break;
    default:
      readFragment(reading, stmt, divergent);
  }
}

/** Gives a name a value of `type`; null where the type is checked elsewhere. */
function assign(reading: Reading, name: string, kinds: readonly Name['kind'][], type: KType | null, varies: boolean): void {
  const entry = known(reading, name, kinds);
  if (entry === null) return;
  if (!entry.writable) reading.report(`${name} is read-only`);
  if (type !== null && entry.type !== type) reading.report(`${name} is ${entry.type}, assigned ${type}`);
  // Invocations may read the same back from workgroup memory and buffers, but not from registers that got different values.
  if (varies && (entry.kind === 'var' || entry.kind === 'array')) entry.varies = true;
}

type Assignment = Extract<Stmt, { kind: 'set' | 'setComponent' | 'setElement' | 'store' }>;

function readAssignment(reading: Reading, stmt: Assignment, varies: boolean): void {
  const { type } = stmt.value;
  switch (stmt.kind) {
    case 'set':
      assign(reading, stmt.name, ['var'], type, varies);
      break;
    case 'setElement':
      assign(reading, stmt.array, ['array', 'shared'], type, varies);
      break;
    case 'store':
      assign(reading, stmt.buffer, ['buffer'], type, false);
      break;
    case 'setComponent': {
      const entry = reading.scopes.find(stmt.name);
      if (entry !== undefined && scalarOf(entry.type) !== type) reading.report(`a component of ${stmt.name} is ${scalarOf(entry.type)}, assigned ${type}`);
      assign(reading, stmt.name, ['var'], null, varies);
    }
  }
}

function readLoop(reading: Reading, stmt: Stmt & { readonly kind: 'for' }, varies: boolean, divergent: boolean): void {
  const types = new Set([stmt.from.type, stmt.to.type, stmt.step.type]);
  if (types.size > 1 || !['u32', 'i32'].includes(stmt.from.type)) reading.report(`loop ${stmt.name} counts over ${[...types].join(', ')}`);
  reading.scopes.within(() => {
    declare(reading, stmt.name, { kind: 'loop', type: stmt.from.type, writable: false, varies });
    readBlock(reading, stmt.body, divergent || varies);
  });
}

function readFragment(reading: Reading, stmt: FragmentStmt, divergent: boolean): void {
  const { uses, scopes, report, parted } = reading;
  for (const problem of fragmentProblems(stmt, scopes.find)) report(problem);
  if (!uses.matrices) report('a fragment is used but matrices are not declared in `uses`');
  if (divergent || parted) report('a fragment is used where only some invocations of the workgroup may come');
  if (stmt.kind === 'storeFragment') assign(reading, stmt.array, ['shared'], null, false);
  if (stmt.kind !== 'fragment' && stmt.kind !== 'loadFragment') return;
  if (stmt.type.scalar === 'f16' && !uses.f16) report('f16 is used but not declared in `uses`');
  declare(reading, stmt.name, { kind: 'fragment', type: stmt.type.scalar, fragment: stmt.type, writable: true, varies: true });
}
