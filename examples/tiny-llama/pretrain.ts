/**
 * Pretrains the bundled model, a Llama of 1.2 million parameters, on Shakespeare's plays, from drawn weights.
 *
 *   npx tsx examples/tiny-llama/pretrain.ts --text shakespeare.txt --tokenizer FOLDER --out FOLDER [--steps 1500]
 *
 * The last 5 % of the text are held out. Weights are stored in f16.
 */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  chunkTokens,
  evaluateLoss,
  f32ToF16,
  initialValues,
  newState,
  openDevice,
  openSession,
  openTokenizer,
  parseHfConfig,
  sequenceBatches,
  train,
  trainingMode,
  writeSafetensors,
} from '../../src/index.ts';

const { values } = parseArgs({
  options: {
    text: { type: 'string' },
    tokenizer: { type: 'string' },
    out: { type: 'string' },
    steps: { type: 'string', default: '1500' },
    adapter: { type: 'string', default: 'auto' },
  },
});
const { text, tokenizer: tokenizerFolder, out } = values;
if (text === undefined || tokenizerFolder === undefined || out === undefined)
  throw new Error('usage: pretrain.ts --text FILE --tokenizer FOLDER --out FOLDER [--steps N]');

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 1024,
  hidden_size: 128,
  intermediate_size: 352,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  hidden_act: 'silu',
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  attention_bias: false,
  mlp_bias: false,
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 0,
  dtype: 'float16',
};
const LENGTH = 128;
const BATCH = 8;
const steps = Number(values.steps);

mkdirSync(out, { recursive: true });
for (const file of ['tokenizer.json', 'tokenizer_config.json']) copyFileSync(join(tokenizerFolder, file), join(out, file));
writeFileSync(join(out, 'config.json'), `${JSON.stringify(CONFIG, null, 2)}\n`);

const tokenizer = await openTokenizer(out);
const whole = readFileSync(text, 'utf8');
const cut = Math.floor(whole.length * 0.95);
const learn = chunkTokens(await tokenizer.ids(whole.slice(0, cut)), LENGTH);
const held = chunkTokens(await tokenizer.ids(whole.slice(cut)), LENGTH);

const { model } = parseHfConfig('config.json', JSON.stringify(CONFIG));
writeSafetensors(
  join(out, 'model.safetensors'),
  [...model.tensors()].map(({ name, shape }) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const init =
      shape.length === 1
        ? ({ kind: 'constant', value: 1 } as const)
        : ({ kind: 'normal', std: name.includes('down_proj') || name.includes('o_proj') ? 0.02 / Math.sqrt(12) : 0.04 } as const);
    return { name, dtype: 'F32', shape, data: initialValues(init, count, name, 1) };
  }),
);

const opened = await openDevice({ adapter: values.adapter });
const session = await openSession(
  out,
  { device: opened.device },
  {
    mode: trainingMode(LENGTH),
    dims: { B: BATCH, T: LENGTH },
    lora: null,
    trains: 'full',
    micros: 1,
    optimizer: 'adamw',
    decay: 'matrices',
    seed: 1,
  },
);
const batches = sequenceBatches(learn, { batch: BATCH, seed: 1, shuffle: true, vocabSize: CONFIG.vocab_size, padId: 0 });
const heldOut = sequenceBatches(held.slice(0, 64), { batch: BATCH, seed: 1, shuffle: false, vocabSize: CONFIG.vocab_size, padId: 0 });
const heldBatches = Array.from({ length: heldOut.count }, (_, i) => heldOut.at(i));

const save = async (): Promise<void> => {
  const entries = [];
  for (const [i, p] of session.engine.program.params.entries())
    if (!p.table) entries.push({ name: p.name, dtype: 'F16' as const, shape: p.shape, data: f32ToF16(await session.engine.readParam(i)) });
  writeSafetensors(join(out, 'model.safetensors'), entries);
};
const started = performance.now();
await train({
  engine: session.engine,
  batches,
  state: newState(session.engine),
  config: {
    steps,
    seed: 1,
    accumulate: 1,
    clip: 1,
    missingGrad: 'skip',
    allDropped: 'backward',
    drop: { kind: 'none' },
    schedule: 'cosine',
    warmupSteps: 100,
    optimizer: { name: 'adamw', lr: 2e-3, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1 },
  },
  onStep: ({ step, loss, ms }) => {
    if (step % 20 === 0) console.error(`step ${step} loss ${loss.toFixed(3)} ${ms.toFixed(0)} ms, ${((performance.now() - started) / 1000).toFixed(0)} s`);
  },
  between: {
    when: (step) => step % 250 === 0 || step === steps,
    run: async ({ step }) => {
      console.error(`step ${step} held-out loss ${(await evaluateLoss(session.engine, heldBatches)).toFixed(4)}`);
      await save();
    },
  },
});
opened.close();
