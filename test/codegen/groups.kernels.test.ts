/** @file Every kernel of every kind of model, and of random functions, on an adapter against the reference evaluator. */

import * as fc from 'fast-check';
import type { ChooseSchedule } from '../../src/codegen/kernel/lower/choice.ts';
import { isMatmulSchedule, type MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { shared } from '../../src/codegen/kernel/matmul/shared/schedule.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { funcBuilder } from '../../src/ir/builder.ts';
import type { Func, Op, Value } from '../../src/ir/types.ts';
import { runPasses } from '../../src/passes/pass.ts';
import { FORWARD, KERNELS } from '../../src/passes/pipeline.ts';
import { expectGroups, type Seen } from '../support/groupCheck.ts';
import { randomFunc } from '../support/randomFunc.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { type TinyOptions, tinyModel } from '../support/tinyModels.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const BLOCKED = { hiddenSize: 32, headDim: 8, intermediateSize: 64, lora: true } as const;
const MODELS: Record<string, TinyOptions> = {
  'llama, odd sizes': {},
  'llama, sizes in fours': { hiddenSize: 16, headDim: 8, vocabSize: 40 },
  'llama, one of everything': { hiddenSize: 1, headDim: 2, vocabSize: 3 },
  'llama, LoRA with dropout on f16': { lora: { dropout: 0.25 }, dtype: 'f16', hiddenSize: 6 },
  'gpt2, odd sizes': { kind: 'gpt2', hiddenSize: 10 },
  'gpt2, LoRA on bf16': { kind: 'gpt2', lora: true, dtype: 'bf16' },
  'llama, generation': { mode: 'generation' },
  Q8_0: { ...BLOCKED, dtype: 'q8_0' },
  Q4_0: { ...BLOCKED, dtype: 'q4_0' },
  Q4_1: { ...BLOCKED, dtype: 'q4_1' },
  Q4_K: { ...BLOCKED, dtype: 'q4_k', hiddenSize: 256, headDim: 64, intermediateSize: 256 },
  Q6_K: { ...BLOCKED, dtype: 'q6_k', hiddenSize: 256, headDim: 64, intermediateSize: 256 },
};
/** Of models that differ from others in their stored weights alone, the kernels that read those. */
const UNPACKING = new Set(['gpt2, LoRA on bf16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q4_K', 'Q6_K']);
const unpacks = (op: Op): boolean => (op.body?.ops ?? []).some((o) => o.name === 'dequantise');
const seen: Seen = new Set();

it.each(Object.entries(MODELS))(
  'kernels of %s',
  async (name, options) => {
    const bounds = { B: 3, T: 11 };
    const funcs: Func[] = [];
    for (const widenOnce of [0, 2 ** 20]) {
      compileModel(tinyModel({ ...options, dims: bounds }), {
        device: { traits: opened.traits, maxBuffers: 8, widenOnce },
        onPass: (pass, func) => void (pass === 'overwrite' && funcs.push(func)),
      });
    }
    const dims = { ...bounds, N: 64, Q: 16, G: 3 };
    let ran = 0;
    for (const func of funcs)
      ran += await expectGroups(
        opened,
        {
          func,
          bounds: dims,
          sizes: { ...dims, B: 2, T: 7, N: 32, Q: 8 },
          ids: Math.min(11, options.vocabSize ?? 11),
          ...(UNPACKING.has(name) ? { only: unpacks } : {}),
        },
        2e-4,
        seen,
      );
    expect(ran).toBeGreaterThan(0);
  },
  600_000,
);

const isDot = (op: Op): boolean => op.attrs['kind'] === 'dot';
const AHEAD = shared({ lanes: [2, 4], rows: 4, cols: 4, depth: 4, ahead: true, twoBuffers: true });
/** The schedule with k shared by three workgroups, and by no lanes. */
const byThree = (schedule: MatmulSchedule): MatmulSchedule =>
  schedule.kind === 'register' ? { ...schedule, kFirst: false, kLanes: 1, kGroups: 3 } : { ...schedule, kGroups: 3 };

it.each<[string, TinyOptions, (op: Op) => boolean, (standard: MatmulSchedule) => MatmulSchedule]>([
  ['whose k is shared by workgroups', { lora: { dropout: 0.25 }, hiddenSize: 16, headDim: 8, vocabSize: 40 }, isDot, byThree],
  ['that load a tile ahead', { ...BLOCKED, dtype: 'q4_0' }, (op) => isDot(op) && unpacks(op), () => AHEAD],
])(
  'kernels %s',
  async (_name, options, only, cut) => {
    const bounds = { B: 3, T: 11 };
    const funcs: Func[] = [];
    compileModel(tinyModel({ ...options, dims: bounds }), {
      device: { traits: opened.traits, maxBuffers: 8 },
      onPass: (pass, func) => void (pass === 'overwrite' && funcs.push(func)),
    });
    let recut = 0;
    const choose: ChooseSchedule = ({ standard, choice }) => {
      if (!isMatmulSchedule(standard.schedule)) return standard;
      recut++;
      return choice(cut(standard.schedule))!;
    };
    for (const func of funcs) await expectGroups(opened, { func, bounds, sizes: { B: 2, T: 7 }, ids: 11, only, choose }, 2e-4, seen);
    expect(recut).toBeGreaterThan(5);
  },
  600_000,
);

/** Rows of each width added up by id, and of the same size what is chosen by column, by row, by both, and by a value. */
function chosenAndScattered(width: number): Func {
  const b = funcBuilder();
  const [ids, targets] = ['ids', 'targets'].map((name) => b.param(name, { dtype: 'i32', shape: ['T', 1] }, 'value')) as [Value, Value];
  const [x, y] = ['x', 'y'].map((name) => b.param(name, { dtype: 'f32', shape: ['T', width] }, 'value')) as [Value, Value];
  const column = b.op('iota', [], { shape: ['T', `${width}`], axis: 1 });
  const [ofColumn, ofRow] = [b.op('lt', [column, b.constant(2, 'i32')]), b.op('ge', [targets, b.constant(0, 'i32')])];
  const conditions = [ofColumn, ofRow, b.op('eq', [column, targets]), b.op('and', [b.op('ge', [column, targets]), ofRow]), b.op('lt', [x, y])];
  const chosen = conditions.map((condition) =>
    b.op('exp', [b.op('select', [b.op('broadcast', [condition], { shape: ['T', `${width}`] }), x, b.op('neg', [y])])]),
  );
  const flat = b.op('reshape', [ids], { shape: ['T'] });
  return b.finish(
    'chosen',
    [...chosen, b.op('scatter_add', [flat, y], { rows: 11 })].map((value) => ({ value, role: 'value' })),
  );
}

it.each([5, 8, 36, 144, 260])('kernels that choose by position and add by id, rows of %i', async (width) => {
  const bounds = { T: 11 };
  const func = runPasses(KERNELS, runPasses(FORWARD, chosenAndScattered(width), undefined), { maxBuffers: 8 });
  expect(await expectGroups(opened, { func, bounds, sizes: { T: 7 }, ids: 5 }, 1e-5, seen)).toBeGreaterThan(1);
});

it('kernels of random functions', async () => {
  let ran = 0;
  for (const func of fc.sample(randomFunc(14), { numRuns: 24, seed: 20 })) {
    const fused = runPasses(KERNELS, runPasses(FORWARD, func, undefined), { maxBuffers: 8 });
    ran += await expectGroups(opened, { func: fused, bounds: {}, sizes: {}, ids: 3 }, 1e-4, seen);
  }
  expect(ran).toBeGreaterThan(40);
});
