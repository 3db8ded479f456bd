/** @file Makes the forms of a module's functions, and its calls. That is a program without kernels, which the reference evaluator can run too. */

import { invariant } from '../errors.ts';
import { callsOf, mainOf, weightRows } from '../ir/module.ts';
import { byteSize, type Func, liftedOf, type Value } from '../ir/types.ts';
import { type Backward, backwardKeyText, formsOf, forwardOf } from '../passes/dropbp.ts';
import type { OnPass } from '../passes/pass.ts';
import type { ArgumentDecl, BackwardDecl, CallDecl } from '../runtime/program.ts';
import type { TracedModel } from '../trace/trace.ts';
import type { FunctionOptions } from './functions.ts';
import { backwardKeys, type CallKeys, calleeOf, flowTable, residualOf } from './keys.ts';

/** A function in one form: primitives and kernel ops, with what codegen must know about its calls. */
export interface FormedFunction extends Pick<FunctionOptions, 'weights' | 'everyStep' | 'overwriteSaved'> {
  readonly func: Func;
  /** Only for the forwards of a model that can be trained; see `FunctionDecl`. */
  readonly flows?: readonly (readonly number[])[];
}

export interface FormedModel {
  /** Calls and their backwards refer to them by index. */
  readonly functions: readonly FormedFunction[];
  readonly calls: readonly CallDecl[];
  /** The values that calls make; calls refer to them by index. */
  readonly values: readonly Value[];
  /** Indices of the values that main returns. */
  readonly results: readonly number[];
}

export interface FormModelOptions {
  /** See `DeriveRequest`. */
  readonly turnsBack?: boolean;
  readonly onPass?: OnPass | undefined;
}

/** Whether a model can be trained: it has trainable parameters, and the first result of main is a loss, f32[]. */
export function learns({ module, params }: TracedModel): boolean {
  const [loss] = mainOf(module).results;
  return params.some((p) => p.trainable) && loss?.value.type.dtype === 'f32' && loss.value.type.shape.length === 0;
}

/** The forms of a function, by their index among all formed functions. */
interface Forms {
  readonly forward: number;
  readonly backwards: ReadonlyMap<string, { readonly decl: number; readonly backward: Backward }>;
}

/** Makes all forms of all functions of a traced model. A model that cannot be trained has forwards only. */
export function formModel(model: TracedModel, options: FormModelOptions = {}): FormedModel {
  const { module } = model;
  const flows = flowTable();
  const keyed = learns(model)
    ? backwardKeys(model, flows)
    : callsOf(module).map((call): CallKeys => {
        const func = calleeOf(module, call);
        return { call, func, keys: [], grouped: false, residual: residualOf(call, func) };
      });
  const { functions, formsBy } = formFunctions(model, keyed, flows, options);
  const values = callsOf(module).flatMap((op) => op.results);
  const valueIds = new Map(values.map((v, i) => [v, i]));
  const idOf = (v: Value): number => {
    const id = valueIds.get(v);
    invariant(id !== undefined, `%${v.name} is made by no call`);
    return id;
  };
  const argument = argumentOf(model, idOf);
  const calls = keyed.map((use): CallDecl => {
    const forms = formsBy.get(use.func);
    invariant(forms, `@${use.func.name} has no forms`);
    return callDecl(use, forms, argument, idOf);
  });
  return { functions, calls, values, results: mainOf(module).results.map((r) => idOf(r.value)) };
}

/** Makes the forms that the calls of each function are asked for. */
function formFunctions(
  model: TracedModel,
  keyed: readonly CallKeys[],
  flows: ReturnType<typeof flowTable>,
  { turnsBack = true, onPass }: FormModelOptions,
): { readonly functions: readonly FormedFunction[]; readonly formsBy: ReadonlyMap<Func, Forms> } {
  const trains = learns(model);
  const functions: FormedFunction[] = [];
  const add = (formed: FormedFunction): number => functions.push(formed) - 1;
  const lastUnit = keyed.findLastIndex(({ call }) => call.attrs['unit'] === true);
  const formsBy = new Map<Func, Forms>();
  for (const { func } of keyed) {
    if (formsBy.has(func)) continue;
    const uses = keyed.filter((k) => k.func === func);
    const keys = [...new Map(uses.flatMap((k) => k.keys).map((k) => [backwardKeyText(k), k])).values()];
    const made = keys.length > 0 ? formsOf(func, keys, { sizes: model.module.dims, turnsBack, onPass }) : { forward: forwardOf(func, onPass), backwards: [] };
    const forward = add({ func: made.forward, weights: () => false, everyStep: trains, ...(trains ? { flows: flows(func) } : {}) });
    const backwards = made.backwards.map((backward) => {
      const decl = add({
        func: backward.func,
        weights: (i) => func.params[i]?.role === 'weight',
        everyStep: uses.every(({ call }) => call.attrs['unit'] !== true),
        // A backward of a call behind all units runs once a step; other backwards may run again (runtime/link/probe.ts).
        overwriteSaved: uses.every((k) => keyed.indexOf(k) > lastUnit),
      });
      return [backwardKeyText(backward.key), { decl, backward }] as const;
    });
    formsBy.set(func, { forward, backwards: new Map(backwards) });
  }
  return { functions, formsBy };
}

/** Describes a call as plain data. */
function callDecl({ call, func, keys, grouped, residual }: CallKeys, forms: Forms, argument: (v: Value) => ArgumentDecl, idOf: (v: Value) => number): CallDecl {
  const lifted = liftedOf(call);
  return {
    site: String(call.attrs['site']),
    unit: call.attrs['unit'] === true,
    forward: forms.forward,
    arguments: call.operands.map(argument),
    results: call.results.map(idOf),
    backwards: keys.map((key): BackwardDecl => {
      const text = backwardKeyText(key);
      const found = forms.backwards.get(text);
      invariant(found, `@${func.name} has no form ${text}`);
      return { key: text, function: found.decl, sources: found.backward.sources, gradientOf: found.backward.gradientOf };
    }),
    residual,
    ...(grouped ? { grouped: true } : {}),
    ...(call.attrs['again'] === true ? { again: true } : {}),
    ...(lifted.length > 0 ? { constants: Object.fromEntries(lifted.map((value, i) => [`lifted${i}`, value])) } : {}),
  };
}

/** Returns a function that describes an operand of a call as plain data. */
function argumentOf({ module, params }: TracedModel, valueId: (v: Value) => number): (v: Value) => ArgumentDecl {
  const main = mainOf(module);
  const inputs = main.params.filter((p) => p.role === 'input').map((p) => p.value);
  const states = main.params.filter((p) => p.role === 'state').map((p) => p.value);
  const paramIds = new Map(params.map((p, i) => [p.name, i]));
  const roles = new Map(main.params.map((p) => [p.value, p.role]));
  const rowsOf = weightRows(main);
  return (v) => {
    const rows = rowsOf(v);
    if (rows) {
      const param = paramIds.get(rows.weight.name);
      invariant(param !== undefined, `%${rows.weight.name} is no parameter of the model`);
      const { dtype, shape } = rows.weight.type;
      return { kind: 'param', param, ...(rows.start === undefined ? {} : { offset: byteSize({ dtype, shape: [rows.start, ...shape.slice(1)] }, {}) }) };
    }
    const role = roles.get(v);
    if (role === 'input') return { kind: 'input', input: inputs.indexOf(v) };
    if (role === 'state') return { kind: 'state', state: states.indexOf(v) };
    if (role === 'scalar') return { kind: 'scalar', name: v.name };
    return { kind: 'value', value: valueId(v) };
  };
}
