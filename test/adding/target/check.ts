/** A model compiled for the stub's device, as a package; a step of training on that device, beside the evaluator. */

import { deepStrictEqual, match, ok, rejects, throws } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { targetNamed } from '../src/codegen/targets/targets.ts';
import { watKernel } from '../src/codegen/targets/wat/run.ts';
import { BUILT_IN } from '../src/compile/devices/builtIn.ts';
import { parseProfile, profileText } from '../src/compile/devices/file.ts';
import { formModel } from '../src/compile/forms.ts';
import { writeSafetensors } from '../src/formats/safetensors.ts';
import { tensor } from '../src/ir/tensor.ts';
import { openCheckpoint, parseHfConfig } from '../src/models/checkpoint.ts';
import { startEngine } from '../src/run/engine.ts';
import { checkpointWeights } from '../src/run/weights.ts';
import { createEngine } from '../src/runtime/execute.ts';
import { WAT_PROFILE, watDevice } from '../src/runtime/wat/device.ts';
import { compileTo } from '../src/session/compile.ts';
import { describeSource } from '../src/session/source.ts';
import { makeBatch } from '../src/train/batches.ts';
import { initialValues } from '../src/train/init.ts';
import { newState, type StepMetrics, train } from '../src/train/loop.ts';
import { filesOf, loadTrainer } from '../src/trainer/package.ts';
import { variantGradients } from '../test/support/moduleEvaluator.ts';

const sizes = { B: 2, T: 3 };
const folder = mkdtempSync(join(tmpdir(), 'ebb-target-'));
const model = join(folder, 'model');
const out = join(folder, 'trainer');
mkdirSync(model);
const config = {
  model_type: 'llama',
  vocab_size: 7,
  hidden_size: 8,
  intermediate_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 8,
  tie_word_embeddings: true,
};
writeFileSync(join(model, 'config.json'), JSON.stringify(config));
const tensors = [...parseHfConfig('config.json', JSON.stringify(config)).model.tensors()];
const drawn = (name: string, shape: readonly number[]): Float32Array =>
  initialValues(
    { kind: 'normal', std: 0.3 },
    shape.reduce((a, b) => a * b, 1),
    name,
    1,
  );
writeSafetensors(
  join(model, 'model.safetensors'),
  tensors.map(({ name, shape }) => ({ name, dtype: 'F32', shape, data: drawn(name, shape) })),
);

const profile = parseProfile(profileText(WAT_PROFILE), 'process.json');
deepStrictEqual(profile, WAT_PROFILE);
const flags = { out, batch: sizes.B, length: sizes.T, lora: null, dropRate: null, matmulPrecision: 'f32', pack: false, standalone: false } as const;
await compileTo(model, flags, { profile, schedules: null });

// the package says which target it is for, and its kernels are that target's
match(readFileSync(join(out, 'plan.json'), 'utf8'), /^ {2}"target": "wat",$/m);
match(readFileSync(join(out, 'README.md'), 'utf8'), /`kernels\/`: WebAssembly text, /);
const kernels = readdirSync(join(out, 'kernels'));
ok(kernels.length > 20);
for (const file of kernels) {
  match(file, /\.wat$/);
  match(readFileSync(join(out, 'kernels', file), 'utf8'), /^(?:;; .*\n)*;; @.*\n(?:;; .*\n)+\(node name "\w+" buffers \(list /);
}

// a step of the package, with a unit dropped
const loaded = await loadTrainer(filesOf(pathToFileURL(`${out}/`)));
const device = watDevice(watKernel);
const engine = await startEngine(device, loaded, checkpointWeights(openCheckpoint(model), null), { micros: 1, optimizer: 'sgd', decay: 'matrices', seed: 5 });
const ids = Int32Array.of(1, 2, 3, 4, 5, 6);
const batch = makeBatch(sizes.B, sizes.T, ids, ids, null, 7);
const values = async () => Promise.all(loaded.program.params.map((_, i) => engine.readParam(i)));
const before = await values();
const dropped = 'layers.0.mlp';
const steps: StepMetrics[] = [];
await train({
  engine,
  state: newState(engine),
  batches: { at: () => batch },
  config: {
    steps: 1,
    seed: 1,
    accumulate: 1,
    clip: 0,
    missingGrad: 'skip',
    allDropped: 'backward',
    drop: { kind: 'fixed', patterns: [[dropped]] },
    schedule: 'constant',
    warmupSteps: 0,
    optimizer: { name: 'sgd', lr: 1, momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 },
  },
  onStep: (metrics) => void steps.push(metrics),
});
const after = await values();

// the same in f64
const traced = (await describeSource(model, undefined)).trace({ batch: sizes.B, length: sizes.T, lora: null });
const given = new Map([
  ...loaded.program.params.map(({ name, shape }, i) => [name, tensor('f32', shape, before[i] ?? [])] as const),
  ...Object.entries(batch.inputs).map(([name, data]) => [name, tensor('i32', [sizes.B, sizes.T], Array.from(data))] as const),
]);
const wanted = variantGradients(
  traced,
  formModel(traced, { turnsBack: true }),
  { sizes, values: given, forms: new Map([[dropped, 'dropped']]), weight: () => 1 },
  1,
);
const near = (found: number | undefined, expected: number | undefined, what: string): void =>
  ok(found !== undefined && expected !== undefined && Math.abs(found - expected) <= 1e-5, `${what}: ${found}, the evaluator has ${expected}`);
near(steps[0]?.loss, wanted.results[0]?.data[0], 'loss');
deepStrictEqual(steps[0]?.dropped, [[dropped]]);
for (const [i, { name, trainable }] of loaded.program.params.entries()) {
  const gradient = wanted.gradients.get(name);
  deepStrictEqual(gradient !== undefined, trainable && !name.includes('layers.0.mlp') && !name.includes('layers.0.post_attention'), name);
  before[i]?.forEach((was, k) => near(after[i]?.[k], was - (gradient?.data[k] ?? 0), `${name}[${k}]`));
}

// what does not belong together is refused by name
await rejects(
  createEngine(device, { ...loaded.program, target: 'wgsl' }, { micros: 1, optimizer: 'none', decays: () => false }),
  /the model was compiled to wgsl, and this device, this process, takes wat; compile the model for this device/,
);
throws(() => targetNamed('metal'), /target metal: there is no such target; there are wat, wgsl/);
deepStrictEqual(parseProfile(profileText(BUILT_IN.nvidia), 'card.json').target, 'wgsl');
rmSync(folder, { recursive: true });
