/** @file Whether a user's op computes in kernels what its reference evaluation does: its expression and its JS are tried on some numbers. */

import { at, EbbError } from '../../../errors.ts';
import type { OpDef, Sample } from '../../../ir/define.ts';
import type { ElementAt } from '../../../ir/element.ts';
import { dtypesOf } from '../../../ir/operands.ts';
import { type Tensor, tensor } from '../../../ir/tensor.ts';
import type { Type } from '../../../ir/types.ts';
import { f32 } from '../expr.ts';
import { applyBin, applyCall, convertTo } from '../interpret/arithmetic.ts';
import { type Expr, isVector, scalarOf } from '../ir.ts';

/** Kernels round to f32, and some of their functions to less. */
const TOLERANCE = 1e-3;

const SCALAR: Type = { dtype: 'f32', shape: [] };
const TRIED = [-1.25, 0.5, 2, 3.75];

/** The number that an expression of constants gives; null where it is made of more. */
function numberMadeBy(expr: Expr): number | null {
  if (isVector(expr.type)) return null;
  if (expr.kind === 'const') return convertTo(expr.type, expr.value);
  if (expr.kind === 'bin') {
    const [a, b] = [numberMadeBy(expr.a), numberMadeBy(expr.b)];
    if (a === null || b === null) return null;
    if (expr.op === '&&') return a && b;
    return expr.op === '||' ? a || b : applyBin(expr.op, scalarOf(expr.a.type))(a, b);
  }
  if (expr.kind === 'un') {
    const a = numberMadeBy(expr.a);
    return a === null ? null : expr.op === '!' ? Number(a === 0) : convertTo(expr.type, expr.op === '-' ? -a : ~a);
  }
  if (expr.kind !== 'call' || expr.fn.startsWith('subgroup')) return null;
  const args = expr.args.map(numberMadeBy);
  if (!args.every((arg) => arg !== null)) return null;
  const types = expr.args.map(({ type }) => type);
  const made = applyCall(expr.fn, expr.type, types)(args);
  return typeof made === 'number' ? made : null;
}

/** The numbers that an op of f32 is tried on: those of a sample, or some of either sign. */
function triesOf({ operands }: OpDef, { types, values }: Sample): readonly (readonly number[])[] {
  const count = Object.keys(operands ?? {}).length;
  if (types.length !== count || types.some(({ dtype }) => dtype !== 'f32')) return [];
  const given = types.map((_, i) => values?.[i] ?? TRIED);
  return TRIED.map((_, k) => given.map((list, i) => at(list, (k + i) % list.length)));
}

function samplesOf(def: OpDef): readonly Sample[] {
  const specs = Object.values(def.operands ?? {});
  if (!specs.every((spec) => typeof spec === 'string' && dtypesOf(spec).includes('f32'))) return [];
  return def.samples.length > 0 ? def.samples : [{ types: specs.map(() => SCALAR) }];
}

/** An element of a result whose operands are numbers. @throws where the op asks for more than its operands at the same position */
function elementOf(numbers: readonly number[], names: readonly string[]): ElementAt {
  const numberOf = (operand: string | number): number => (typeof operand === 'number' ? operand : names.indexOf(operand));
  const asked = (): never => {
    throw new EbbError('an element that depends on its position');
  };
  return {
    width: 1,
    type: SCALAR,
    count: numbers.length,
    typeOf: () => SCALAR,
    axes: asked,
    flat: asked,
    extent: asked,
    bind: (_name, value) => value,
    same: (operand) => f32(at(numbers, numberOf(operand))),
    at: asked,
    lookUp: asked,
    beside: asked,
    stored: asked,
  };
}

function attempt<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof EbbError) return null;
    throw error;
  }
}

/** @throws EbbError naming the op, the numbers, and both results, if they are not near each other */
function compare(name: string, numbers: readonly number[], expected: number, found: number | null): void {
  if (found === null || !Number.isFinite(expected)) return;
  if (Math.abs(found - expected) <= TOLERANCE * Math.max(1, Math.abs(expected))) return;
  throw new EbbError(`op ${name}: of ${numbers.join(' and ')} its expression makes ${found}, and its JS ${expected}; they must compute the same`);
}

function checkPointwise(def: OpDef): void {
  const { name, element, evaluate, infer } = def;
  const names = Object.keys(def.operands ?? {});
  if (!element || !evaluate) return;
  for (const sample of samplesOf(def)) {
    const attrs = sample.attrs ?? {};
    for (const numbers of triesOf(def, sample)) {
      const inputs: readonly Tensor[] = numbers.map((x) => tensor('f32', [], [Math.fround(x)]));
      const types = attempt(() => infer(inputs, attrs));
      const [result] = (types && attempt(() => evaluate(inputs, attrs, {}, types))) ?? [];
      if (result?.dtype !== 'f32') continue;
      const results = [{ name, type: SCALAR }];
      const operands = numbers.map((_, i) => ({ name: names[i] ?? name, type: SCALAR }));
      const made = attempt(() => element(elementOf(numbers, names), { name, operands, attrs, results }));
      compare(name, numbers, at(result.data, 0), made && numberMadeBy(made));
    }
  }
}

function checkReduction({ name, combine }: OpDef): void {
  if (!combine) return;
  for (const x of TRIED) for (const y of TRIED) compare(name, [x, y], combine.js(x, y), numberMadeBy(combine.expr(f32(x), f32(y))));
}

const checked = new WeakSet<OpDef>();

/** Tries an op of a user's, once. @throws EbbError if its kernels would not compute what it says it computes */
export function checkAgreement(def: OpDef): void {
  if (checked.has(def)) return;
  checked.add(def);
  if (def.kind === 'pointwise') checkPointwise(def);
  if (def.kind === 'reduce') checkReduction(def);
}
