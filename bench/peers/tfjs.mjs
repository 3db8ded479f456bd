/** TensorFlow.js on WebGPU as a contestant (bench/protocol.ts): eager, `tf.variableGrads`, AdamW in tf operations. */

import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { serve } from '../contestants/serve.ts';
import { SPEC } from '../spec.ts';
import { packageVersion } from '../versions.ts';
import { installGpu } from './gpu.mjs';
import { readMatrix, readModel, rotary } from './model.mjs';

const { lr, beta1, beta2, eps, weightDecay } = SPEC.adamw;

let tf;
let model;
let run;

const rms = (x, weight) => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), SPEC.normEps))), weight);

/** Rotates x [batch, heads, seq, width]. */
function rotate(x, { cos, sin }) {
  const [a, b] = tf.split(x, 2, 3);
  return tf.add(tf.mul(x, cos), tf.mul(tf.concat([tf.neg(b), a], 3), sin));
}

function attention(q, k, v, { mask }) {
  const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape[3])), mask);
  return tf.matMul(tf.softmax(scores), v);
}

function lossOf({ weights, tokens, targets, ...tables }) {
  const { batch, seq, dim, heads, layers, vocab } = model;
  let x = tf.reshape(tf.gather(weights.get('embed'), tokens), [batch * seq, dim]);
  for (let i = 0; i < layers; i++) {
    const w = (part) => weights.get(`l${i}.${part}`);
    const h = rms(x, w('norm1'));
    const project = (part) => tf.transpose(tf.reshape(tf.matMul(h, w(part)), [batch, seq, heads, dim / heads]), [0, 2, 1, 3]);
    const attended = attention(rotate(project('wq'), tables), rotate(project('wk'), tables), project('wv'), tables);
    x = tf.add(x, tf.matMul(tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [batch * seq, dim]), w('wo')));
    const g = rms(x, w('norm2'));
    const gate = tf.matMul(g, w('w1'));
    x = tf.add(x, tf.matMul(tf.mul(tf.mul(gate, tf.sigmoid(gate)), tf.matMul(g, w('w3'))), w('w2')));
  }
  const logits = tf.matMul(rms(x, weights.get('norm')), weights.get('head'));
  const picked = tf.sum(tf.mul(tf.oneHot(targets, vocab), logits), -1);
  return tf.mean(tf.sub(tf.logSumExp(logits, -1), picked));
}

function start() {
  const { batch, seq, dim, heads } = model;
  const weights = new Map(model.weights.map(({ name, data, shape }) => [name, tf.variable(tf.tensor(data, shape), true, name)]));
  const zeros = () => new Map(model.weights.map(({ name, shape }) => [name, tf.variable(tf.zeros(shape), false)]));
  const table = (of) => tf.tensor(rotary(of, model, SPEC.ropeTheta), [1, 1, seq, dim / heads]);
  const hidden = Float32Array.from({ length: seq * seq }, (_, i) => (i % seq > Math.floor(i / seq) ? -1e9 : 0));
  return {
    weights,
    m: zeros(),
    v: zeros(),
    tokens: tf.tensor(model.tokens, [batch, seq], 'int32'),
    targets: tf.tensor(model.targets, [batch * seq], 'int32'),
    cos: table(Math.cos),
    sin: table(Math.sin),
    mask: tf.tensor(hidden, [1, 1, seq, seq]),
    steps: 0,
  };
}

/** The update of torch.optim.AdamW for one variable. */
function adamw(p, g, m, v, bias1, bias2) {
  m.assign(tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1)));
  v.assign(tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2)));
  const step = tf.div(tf.div(m, bias1), tf.add(tf.sqrt(tf.div(v, bias2)), eps));
  p.assign(tf.sub(tf.mul(p, 1 - lr * weightDecay), tf.mul(step, lr)));
}

async function step() {
  run ??= start();
  run.steps++;
  const { weights, m, v, steps } = run;
  const loss = tf.tidy(() => {
    const { value, grads } = tf.variableGrads(() => lossOf(run), [...weights.values()]);
    for (const [name, p] of weights) adamw(p, grads[name], m.get(name), v.get(name), 1 - beta1 ** steps, 1 - beta2 ** steps);
    return value;
  });
  // the loss is copied after the update, so the step is over once it arrives
  const [value] = await loss.data();
  loss.dispose();
  await idle();
  return value;
}

async function idle() {
  const backend = tf.backend();
  backend.endComputePassEncoder();
  if (backend.commandEncoder) backend.submitQueue();
  await backend.queue.onSubmittedWorkDone();
}

const operands = new Map();

async function multiply({ m, n, k, a, b, c, times }) {
  const key = `${m},${n},${k}`;
  if (!operands.has(key)) {
    const pair = [readMatrix(a, m, k), readMatrix(b, k, n)].map(({ data, shape }) => tf.tensor(data, shape));
    operands.set(key, pair);
    // tfjs uploads an array when it is first used
    tf.matMul(...pair).dispose();
    await idle();
  }
  const pair = operands.get(key);
  const started = performance.now();
  const products = Array.from({ length: times }, () => tf.matMul(...pair));
  await idle();
  const ms = (performance.now() - started) / times;
  if (c !== null) {
    const data = await products.at(-1).data();
    writeFileSync(c, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  tf.dispose(products);
  return { ms };
}

await serve({
  async open({ device: wanted }) {
    const device = await installGpu(wanted);
    // the ES modules of tfjs are made for bundlers, so Node loads the CommonJS builds
    const require = createRequire(import.meta.url);
    tf = require('@tensorflow/tfjs');
    require('@tensorflow/tfjs-backend-webgpu');
    if (!(await tf.setBackend('webgpu'))) throw new Error('tfjs found no WebGPU');
    await tf.ready();
    return { library: `tfjs ${packageVersion('@tensorflow/tfjs', import.meta.url)} (webgpu)`, device };
  },
  async load(request) {
    if (run) tf.disposeVariables();
    model = readModel(request.model);
    run = undefined;
  },
  async step() {
    const started = performance.now();
    const loss = await step();
    return { ms: performance.now() - started, loss };
  },
  matmul: multiply,
  close() {},
});
