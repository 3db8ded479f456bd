/**
 * Uses the engine beneath the library: a small residual network learns a toy language, and each backward leaves out half of its branches.
 *
 *   npx tsx examples/engine.ts
 */

import {
  compileModel,
  createEngine,
  crossEntropy,
  defineModel,
  deviceTraits,
  embedding,
  initialValues,
  linear,
  newState,
  openDevice,
  param,
  printModule,
  relu,
  traceModel,
  train,
  unit,
} from 'ebb';

const VOCAB = 96;
const WIDTH = 32;
const [B, T] = [8, 32];

const model = traceModel(
  defineModel({
    inputs: { tokens: { dtype: 'i32', shape: ['B', 'T'] }, targets: { dtype: 'i32', shape: ['B', 'T'] } },
    build: ({ tokens, targets }) => {
      let x = embedding(param('embed', [VOCAB, WIDTH]), tokens);
      for (let i = 0; i < 4; i++)
        x = unit(`layers.${i}`, x, (y) =>
          linear(`layers.${i}.down`, relu(linear(`layers.${i}.up`, y, { inputs: WIDTH, outputs: 64, bias: true })), { inputs: 64, outputs: WIDTH }),
        );
      return crossEntropy(linear('head', x, { inputs: WIDTH, outputs: VOCAB }), targets);
    },
  }),
  { dims: { B, T } },
);
console.log(printModule(model.module));

const opened = await openDevice();
const device = { traits: deviceTraits(opened.device), maxBuffers: opened.device.profile.limits.maxStorageBuffersPerShaderStage };
const { program } = compileModel(model, { device, optimizers: ['adamw'] });
const engine = await createEngine(opened.device, program, { micros: 1, optimizer: 'adamw', decays: () => false });
model.params.forEach((p, i) => {
  engine.writeParam(
    i,
    initialValues(
      p.init,
      p.shape.reduce((a, b) => a * b, 1),
      p.name,
      1,
    ),
  );
});

// the next token is a fixed function of the current one
const next = (id: number): number => (id * 5 + 17) % VOCAB;
await train({
  engine,
  state: newState(engine),
  batches: {
    at: (index) => {
      const tokens = Int32Array.from({ length: B * T }, (_, i) => (i * 31 + index * 7) % VOCAB);
      return { sizes: { B, T }, inputs: { tokens, targets: tokens.map(next) }, tokens: B * T, counted: B * T };
    },
  },
  config: {
    steps: 60,
    seed: 1,
    accumulate: 1,
    clip: 1,
    missingGrad: 'skip',
    allDropped: 'backward',
    drop: { kind: 'uniform', rate: 0.5 },
    schedule: 'cosine',
    warmupSteps: 5,
    optimizer: { name: 'adamw', lr: 2e-2, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 },
  },
  onStep: ({ step, loss, dropped }) => {
    if (step % 10 === 0 || step === 1) console.log(`step ${step} loss ${loss.toFixed(3)} without backward: ${dropped.flat().join(', ') || 'none'}`);
  },
});
opened.close();
