/**
 * @file Whole modules in f64, twice: what a pattern's gradient means, and what the compiled forms make of it.
 *
 * `surrogateLoss` is the meaning. A kept unit is x + b₀ + w·(b(x) − b₀), which has the value of x + b(x) and w times its derivative; a
 * dropped unit is x + b₀, and all else it computes is constant; b₀ and whatever has no derivative are taken from a first run. Its finite
 * differences are the gradient. `variantGradients` runs the functions that differentiation and DropBP made, call by call as the runtime
 * plans them, with the evaluator in the place of kernels.
 */

import type { FormedModel } from '../../src/compile/forms.ts';
import { evaluate, evaluateNamed } from '../../src/ir/evaluate.ts';
import { mainOf } from '../../src/ir/module.ts';
import { size, type Tensor, tensor } from '../../src/ir/tensor.ts';
import { type DimSizes, dimSize, liftedOf, type Op, type Value } from '../../src/ir/types.ts';
import { type Form, formsOfCalls } from '../../src/runtime/link/forms.ts';
import type { TracedModel } from '../../src/trace/trace.ts';

/** One micro-batch of one pattern. */
export interface Setting {
  readonly sizes: DimSizes;
  /** Parameters and inputs by name. */
  readonly values: ReadonlyMap<string, Tensor>;
  readonly forms: ReadonlyMap<string, Form>;
  /** What a kept unit's branch cotangent is multiplied by. */
  readonly weight: (site: string) => number;
  /** The scalar that every call of that name is given; branch weights aside. */
  readonly scalar?: (name: string) => number;
}

/** What stays as it was in the first run: by site and op, or result. */
export type Frozen = Map<string, Tensor>;

const WITHOUT_DERIVATIVE = new Set(['stop_gradient', 'lt', 'le', 'ge', 'eq', 'convert']);

const combine = (x: Tensor, y: Tensor, f: (a: number, b: number) => number): Tensor => ({ ...x, data: x.data.map((a, i) => f(a, y.data[i]!)) });

const resolved = (op: Op, sizes: DimSizes): Op['attrs'] => {
  const shape = op.attrs['shape'];
  return Array.isArray(shape) ? { ...op.attrs, shape: shape.map((d) => String(/^\d+$/.test(String(d)) ? d : dimSize(String(d), sizes))) } : op.attrs;
};

/** Main's results under a setting. `frozen`: of a first run at the same point, or empty to fill it. */
export function surrogateLoss({ module }: TracedModel, setting: Setting, frozen: Frozen): readonly Tensor[] {
  const first = frozen.size === 0;
  const keep = (key: string, made: Tensor): Tensor => {
    if (first) frozen.set(key, made);
    return first ? made : (frozen.get(key) ?? made);
  };
  const main = mainOf(module);
  const env = new Map<Value, Tensor>();
  for (const { value, role } of main.params) {
    const given = role === 'scalar' ? tensor(value.type.dtype, [], [setting.scalar?.(value.name) ?? 1]) : setting.values.get(value.name);
    if (!given) throw new Error(`no value for %${value.name}`);
    env.set(value, given);
  }
  const at = (e: ReadonlyMap<Value, Tensor>, v: Value): Tensor => e.get(v)!;
  for (const call of main.ops) {
    const func = module.funcs.find((f) => f.name === call.attrs['callee'])!;
    const site = String(call.attrs['site']);
    const form = setting.forms.get(site) ?? 'full';
    const own = new Map<Value, Tensor>();
    const lifted = liftedOf(call).map((x) => tensor('f32', [], [x]));
    func.params.forEach((p, i) => void own.set(p.value, i < call.operands.length ? at(env, call.operands[i]!) : lifted[i - call.operands.length]!));
    func.ops.forEach((op, n) => {
      const inputs = op.operands.map((v) => at(own, v));
      if (op.name === 'residual') {
        const [x, branch] = inputs as [Tensor, Tensor];
        const base = keep(`${site}/${n}`, branch);
        const weight = form === 'dropped' ? 0 : setting.weight(site);
        const moved = combine(branch, base, (b, b0) => b0 + weight * (b - b0));
        own.set(op.results[0]!, form === 'skipped' ? x : combine(x, moved, (a, b) => a + b));
        return;
      }
      const types = op.results.map((r) => ({ dtype: r.type.dtype, shape: r.type.shape.map((d) => dimSize(d, setting.sizes)) }));
      evaluateNamed(op.name, inputs, resolved(op, setting.sizes), setting.sizes, types).forEach((made, k) => {
        own.set(op.results[k]!, WITHOUT_DERIVATIVE.has(op.name) ? keep(`${site}/${n}.${k}`, made) : made);
      });
    });
    const sum = func.ops.find((op) => op.name === 'residual')?.results[0];
    func.results.forEach((r, k) => {
      const made = at(own, r.value);
      env.set(call.results[k]!, form === 'dropped' && r.value !== sum ? keep(`${site}#${k}`, made) : made);
    });
  }
  return main.results.map((r) => at(env, r.value));
}

export interface VariantGradients {
  readonly results: readonly Tensor[];
  /** By parameter; those without a gradient are missing. */
  readonly gradients: ReadonlyMap<string, Tensor>;
}

/** The gradient times `lossScale` by the compiled forms, as the runtime plans them. */
export function variantGradients(model: TracedModel, formed: FormedModel, setting: Setting, lossScale: number): VariantGradients {
  const { sizes } = setting;
  const main = mainOf(model.module);
  const inputs = main.params.filter((p) => p.role === 'input').map((p) => p.value.name);
  const plans = formsOfCalls(
    { values: formed.values, params: model.params, calls: formed.calls, results: formed.results, functions: formed.functions },
    setting.forms,
    false,
  );
  const values = new Map<number, Tensor>();
  const saved: (readonly Tensor[])[] = [];
  const cotangents = new Map<number, Tensor>();
  const gradients = new Map<string, Tensor>();
  const zeros = (v: Value): Tensor =>
    tensor(
      'f32',
      v.type.shape.map((d) => dimSize(d, sizes)),
    );
  const add = <K>(into: Map<K, Tensor>, key: K, d: Tensor): void => {
    const known = into.get(key);
    into.set(key, known ? combine(known, d, (a, b) => a + b) : d);
  };
  const scalar = (name: string, site: string, constants: Readonly<Record<string, number>>): Tensor => {
    const number =
      constants[name] ??
      (name === 'loss_scale'
        ? lossScale
        : name === 'branch_weight'
          ? setting.weight(site)
          : name === 'position' || name === 'seed'
            ? 0
            : setting.scalar?.(name));
    if (number === undefined) throw new Error(`no value for scalar ${name}`);
    return tensor(name === 'position' ? 'i32' : 'f32', [], [number]);
  };
  const argumentsOf = ({ call }: (typeof plans)[number]): (Tensor | null)[] =>
    call.arguments.map((a) =>
      a.kind === 'value'
        ? (values.get(a.value) ?? null)
        : a.kind === 'param'
          ? setting.values.get(model.params[a.param]!.name)!
          : a.kind === 'input'
            ? setting.values.get(inputs[a.input]!)!
            : null,
    );
  plans.forEach((plan, i) => {
    const { call, skipped } = plan;
    const given = argumentsOf(plan);
    if (skipped) {
      call.results.forEach((r) => void values.set(r, given[call.residual!.argument]!));
      return;
    }
    const { func } = formed.functions[call.forward]!;
    const made = evaluate(
      { dims: {}, funcs: [] },
      func,
      func.params.map((p, k) => given[k] ?? scalar(p.value.name, call.site, call.constants ?? {})),
      sizes,
    );
    const results = made.filter((_, k) => func.results[k]!.role === 'value');
    results.forEach((t, k) => void values.set(call.results[k]!, t));
    saved[i] = made.filter((_, k) => func.results[k]!.role === 'save');
  });
  for (let i = plans.length - 1; i >= 0; i--) {
    const plan = plans[i]!;
    const { call, backward, wants } = plan;
    if (!backward) {
      const { residual } = call;
      call.results.forEach((r, k) => {
        const d = cotangents.get(r);
        const x = residual && call.arguments[residual.argument];
        if (d && k === residual?.result && x?.kind === 'value') add(cotangents, x.value, d);
      });
      continue;
    }
    const { func } = formed.functions[backward.function]!;
    const given = argumentsOf(plan);
    const made = evaluate(
      { dims: {}, funcs: [] },
      func,
      func.params.map((p, k) => {
        const { from, index } = backward.sources[k]!;
        if (p.role === 'scalar') return scalar(p.value.name, call.site, call.constants ?? {});
        if (from === 'argument') return given[index]!;
        return from === 'save' ? saved[i]![index]! : (cotangents.get(call.results[index]!) ?? zeros(p.value));
      }),
      sizes,
    );
    made.forEach((d, k) => {
      const a = backward.gradientOf[k]!;
      const arg = call.arguments[a]!;
      if (!wants[a]) return;
      if (arg.kind === 'value') add(cotangents, arg.value, d);
      if (arg.kind === 'param') add(gradients, model.params[arg.param]!.name, d);
    });
  }
  return { results: formed.results.map((r) => values.get(r)!), gradients };
}

/** A direction in a parameter's space, of unit length. */
export function direction(shape: readonly number[], seed: number): Float64Array {
  const out = Float64Array.from({ length: size(shape) }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233 + 1));
  const norm = Math.hypot(...out);
  return out.map((x) => x / norm);
}
