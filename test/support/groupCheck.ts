/** @file Runs a fused group's kernel on a device and compares it with the reference evaluator on the same numbers. */

import type { ChooseSchedule } from '../../src/codegen/kernel/lower/choice.ts';
import { scalarWords } from '../../src/codegen/kernel/lower/emit.ts';
import { lowerGroup } from '../../src/codegen/kernel/lower/lower.ts';
import { STARTING_SCHEDULES } from '../../src/codegen/kernel/lower/starting.ts';
import { canonicalText } from '../../src/codegen/kernel/rewrite/canonical.ts';
import { moduleOf } from '../../src/codegen/targets/target.ts';
import { WGSL } from '../../src/codegen/targets/wgsl/wgsl.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../src/formats/floats.ts';
import { BLOCKS, type BlockType as StoredType, dequantise as unpackBlocks } from '../../src/formats/ggmlBlocks.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { randomTensor, type Tensor, tensor } from '../../src/ir/tensor.ts';
import { type DimSizes, dimSize, type Func, isBlockType, type Op, type Value } from '../../src/ir/types.ts';
import { type Data, runKernel } from './runKernel.ts';
import type { TestDevice } from './testDevice.ts';

export interface GroupCase {
  readonly func: Func;
  /** Names of the run-time dimensions in the order of the uniform block, with their bounds. */
  readonly bounds: DimSizes;
  /** What they are in this run. */
  readonly sizes: DimSizes;
  /** Ids in integer inputs are below this. */
  readonly ids: number;
  /** Which groups; all without it. */
  readonly only?: (group: Op) => boolean;
  /** How its kernels are cut; default: as the device starts. */
  readonly choose?: ChooseSchedule;
}

const shapeOf = (v: Value, sizes: DimSizes): number[] => v.type.shape.map((d) => dimSize(d, sizes));
const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Blocks of random bits whose scales are small numbers. */
function randomBlocks(type: StoredType, values: number, seed: number): Uint8Array {
  const { blockSize, bytesPerBlock, scales } = BLOCKS[type];
  const bytes = new Uint8Array((values / blockSize) * bytesPerBlock);
  let state = seed * 977 + 13;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  for (let block = 0; block < bytes.length; block += bytesPerBlock)
    for (const at of scales) bytes.set(f32ToF16(Float32Array.of(((block + at) % 7) * 0.01 - 0.02)), block + at);
  return bytes;
}

interface Made {
  readonly value: Tensor;
  readonly data: Data;
}

/** Random contents of a value: numbers for the evaluator, words for the device. */
function contents(v: Value, role: string, { sizes, ids }: GroupCase, seed: number): Made {
  const shape = shapeOf(v, sizes);
  const { dtype } = v.type;
  if (dtype === 'f32') {
    const random = randomTensor('f32', shape, seed, 0.8);
    // second moments, counts and norms are not negative
    const data = Float32Array.from(random.data, (x) => (role === 'state' || v.name.startsWith('parts') || v.name === 'scale' ? Math.abs(x) + 0.01 : x));
    // the third of a query's scalars is its segment
    if (v.name === 'stats') for (let i = 2; i < data.length; i += 3) data[i] = 1;
    return { value: tensor('f32', shape, data), data };
  }
  if (dtype === 'f16' || dtype === 'bf16' || isBlockType(dtype)) {
    const plain = Float32Array.from(randomTensor('f32', shape, seed, 0.8).data);
    const bytes = dtype === 'f16' ? f32ToF16(plain) : dtype === 'bf16' ? f32ToBf16(plain) : randomBlocks(dtype, count(shape), seed);
    const widened = dtype === 'f16' ? f16ToF32(bytes) : dtype === 'bf16' ? bf16ToF32(bytes) : unpackBlocks(dtype, bytes);
    const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    whole.set(bytes);
    return { value: tensor(dtype, shape, widened), data: new Uint32Array(whole.buffer) };
  }
  const numbers = Array.from({ length: count(shape) }, (_, i) => {
    if (dtype === 'bool') return (i * 31 + seed) % 3 === 0 ? 1 : 0;
    if (v.name.startsWith('segments') || v.name.startsWith('key_segments')) return 1;
    if (v.name.startsWith('targets')) return (i * 7 + seed) % 5 === 0 ? -1 : (i * 13 + seed) % ids;
    return (i * 13 + seed) % ids;
  });
  return { value: tensor(dtype, shape, numbers), data: dtype === 'i32' ? Int32Array.from(numbers) : Uint32Array.from(numbers) };
}

/** WGSL of kernels already run: equal kernels are run once. */
export type Seen = Set<string>;

/** Runs every fused group of `func` alone. Returns how many kernels ran. */
export async function expectGroups({ device, traits }: TestDevice, groupCase: GroupCase, tolerance: number, seen: Seen = new Set()): Promise<number> {
  const { func, bounds, sizes, choose } = groupCase;
  const scalars = func.params.filter((p) => p.role === 'scalar').map((p) => p.value);
  const words = scalarWords(scalars);
  const roles = new Map(func.params.map((p) => [p.value, p.role]));
  const dims = Object.keys(bounds);
  let ran = 0;
  for (const [g, op] of func.ops.entries()) {
    if (op.name !== 'fused' || !(groupCase.only?.(op) ?? true)) continue;
    const [first] = op.attrs['inplace'] ? [] : op.results;
    // weight gradients are written or added to
    const accumulated = first && func.results.some((r) => r.role === 'grad' && r.value === first) && g % 2 === 1 ? new Set([first]) : new Set<Value>();
    const lowered = lowerGroup(op, { device: traits, dims, sizes: bounds, scalarWord: words, adds: accumulated, schedules: STARTING_SCHEDULES, choose });
    const { kernel, values } = lowered;
    const steps = [...(lowered.before ? [lowered.before] : []), { kernel, values }];
    const text = `${steps.map((step) => canonicalText(step.kernel)).join()} ${accumulated.size}`;
    if (seen.has(text)) continue;
    seen.add(text);
    const inputs = op.operands.map((v, i) => contents(v, roles.get(v) ?? 'value', groupCase, 17 * g + i));
    const params = new Uint32Array(64);
    dims.forEach((name, i) => {
      params[i] = sizes[name] ?? 0;
    });
    op.operands.forEach((v, i) => {
      const word = words.get(v);
      if (word === undefined) return;
      const [made] = inputs[i]!.data;
      const value = v.type.dtype === 'f32' ? Math.abs(Number(made)) + 0.1 : v.name === 'position' ? 0 : Number(made);
      inputs[i] = { value: tensor(v.type.dtype, [], [Math.fround(value)]), data: Float32Array.of(value) };
      new DataView(params.buffer).setUint32(4 * word, v.type.dtype === 'f32' ? new Uint32Array(Float32Array.of(value).buffer)[0]! : value, true);
    });
    const expected = evaluateGroup(
      op,
      inputs.map((i) => i.value),
      sizes,
    );
    const scatters = (op.body?.ops ?? []).some((o) => o.name === 'scatter_add');
    const before = accumulated.size > 0 && !scatters ? 0.5 : 0;
    const fresh = (v: Value): Data => {
      const size = Math.max(4, Math.ceil(count(shapeOf(v, sizes)) / 4) * 4);
      return v.type.dtype === 'f32' ? new Float32Array(size).fill(before) : v.type.dtype === 'i32' ? new Int32Array(size) : new Uint32Array(size);
    };
    const held = new Map<Value, Data>(op.operands.map((v, i) => [v, inputs[i]!.data]));
    if (process.env['EBB_TRACE']) process.stderr.write(`${new Date().toISOString()} @${func.name} ${String(op.attrs['name'])}\n`);
    for (const step of steps) {
      const bound = step.values.map((v) => held.get(v) ?? fresh(v));
      const buffers = Object.fromEntries(step.kernel.buffers.map(({ name }, i) => [name, bound[i]!]));
      const written = await runKernel(device, step.kernel, { params, buffers, dims: sizes });
      step.kernel.buffers.forEach(({ name }, i) => void (written[name] && held.set(step.values[i]!, written[name])));
      ran++;
    }
    const inplace = (op.attrs['inplace'] ?? []) as readonly number[];
    op.results.forEach((r, i) => {
      const pair = inplace.findIndex((x, k) => k % 2 === 0 && x === i);
      const bound = pair >= 0 ? op.operands[inplace[pair + 1]!]! : r;
      const got = held.get(bound)!;
      const wanted = expected[i]!.data;
      const scale = wanted.reduce((m, x) => Math.max(m, Math.abs(x)), 0.05);
      const added = accumulated.has(r) ? before : 0;
      wanted.forEach((w, k) => {
        const error = Math.abs(w + added - Number(got[k])) / scale;
        if (!(error <= tolerance))
          throw new Error(
            `@${func.name} ${String(op.attrs['name'])} %${r.name}[${k}] is ${got[k]}, expected ${w + added} (largest ${scale})\n${moduleOf(WGSL, kernel)}`,
          );
      });
    });
  }
  return ran;
}

function evaluateGroup(op: Op, inputs: readonly Tensor[], sizes: DimSizes): readonly Tensor[] {
  const func: Func = {
    name: 'group',
    params: op.operands.map((value) => ({ value, role: 'value' as const })),
    ops: op.body?.ops ?? [],
    results: op.results.map((value) => ({ value, role: 'value' as const })),
  };
  return evaluate({ dims: {}, funcs: [] }, func, inputs, sizes);
}
