/**
 * jax-js as a contestant (bench/protocol.ts): `jit` of `valueAndGrad` and the AdamW update as one function.
 *
 *   jax.mjs webgpu|wasm
 */

import { writeFileSync } from 'node:fs';
import { serve } from '../contestants/serve.ts';
import { SPEC } from '../spec.ts';
import { packageVersion } from '../versions.ts';
import { installGpu, installNavigator } from './gpu.mjs';
import { readMatrix, readModel, rotary } from './model.mjs';

const device = process.argv[2] ?? 'webgpu';
const { lr, beta1, beta2, eps, weightDecay } = SPEC.adamw;

// Node 20 has no iterator helpers, which jax-js needs
const iterators = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
const polyfill = {
  *map(f) {
    for (const x of this) yield f(x);
  },
  *filter(f) {
    for (const x of this) if (f(x)) yield x;
  },
  *take(n) {
    if (n > 0) for (const x of this) {
      yield x;
      if (--n === 0) return;
    }
  },
  *drop(n) {
    for (const x of this) if (n-- <= 0) yield x;
  },
  *flatMap(f) {
    for (const x of this) yield* f(x);
  },
  toArray() {
    return [...this];
  },
  forEach(f) {
    for (const x of this) f(x);
  },
  reduce(f, ...start) {
    return [...this].reduce(f, ...start);
  },
  some(f) {
    for (const x of this) if (f(x)) return true;
    return false;
  },
  every(f) {
    for (const x of this) if (!f(x)) return false;
    return true;
  },
  find(f) {
    for (const x of this) if (f(x)) return x;
    return undefined;
  },
};
for (const [name, value] of Object.entries(polyfill)) if (!(name in iterators)) Object.defineProperty(iterators, name, { value, configurable: true, writable: true });

let jax;
let np;
let model;
let run;

/** jax-js frees an array when it is passed to an operation; `.ref` keeps it for another use. */
function rms(x, weight) {
  const mean = np.mean(np.square(x.ref), -1, { keepdims: true });
  return x.div(np.sqrt(mean.add(SPEC.normEps))).mul(weight);
}

function rotate(x, cos, sin) {
  const half = x.shape[3] / 2;
  const [a, b] = [x.ref.slice([], [], [], [0, half]), x.ref.slice([], [], [], [half, 2 * half])];
  return x.mul(cos).add(np.concatenate([b.neg(), a], -1).mul(sin));
}

function lossOf(weights, tokens, targets, cos, sin) {
  const { batch, seq, dim, heads, layers, vocab } = model;
  const width = dim / heads;
  let x = np.take(weights.embed, tokens, 0);
  for (let i = 0; i < layers; i++) {
    const w = (part) => weights[`l${i}.${part}`];
    const h = rms(x.ref, w('norm1')).reshape([batch * seq, dim]);
    const project = (part) => np.matmul(h.ref, w(part)).reshape([batch, seq, heads, width]);
    const [q, k, v] = [project('wq'), project('wk'), project('wv')];
    h.dispose();
    const attended = jax.nn.dotProductAttention(rotate(q, cos.ref, sin.ref), rotate(k, cos.ref, sin.ref), v, { isCausal: true });
    x = x.add(np.matmul(attended.reshape([batch * seq, dim]), w('wo')).reshape([batch, seq, dim]));
    const g = rms(x.ref, w('norm2')).reshape([batch * seq, dim]);
    const gated = jax.nn.silu(np.matmul(g.ref, w('w1'))).mul(np.matmul(g, w('w3')));
    x = x.add(np.matmul(gated, w('w2')).reshape([batch, seq, dim]));
  }
  cos.dispose();
  sin.dispose();
  const logits = np.matmul(rms(x, weights.norm).reshape([batch * seq, dim]), weights.head);
  const picked = jax.nn.oneHot(targets, vocab).mul(logits.ref).sum(-1);
  return jax.nn.logsumexp(logits, -1).sub(picked).mean();
}

/** The update of torch.optim.AdamW for one parameter. */
function adamw(p, g, m, v, bias1, bias2) {
  const m1 = m.mul(beta1).add(g.ref.mul(1 - beta1));
  const v1 = v.mul(beta2).add(np.square(g).mul(1 - beta2));
  const step = m1.ref.div(bias1).div(np.sqrt(v1.ref.div(bias2)).add(eps));
  return [p.mul(1 - lr * weightDecay).sub(step.mul(lr)), m1, v1];
}

function update(weights, m, v, tokens, targets, cos, sin, bias1, bias2) {
  const [loss, gradients] = jax.valueAndGrad(lossOf)(jax.tree.ref(weights), tokens, targets, cos, sin);
  const next = { weights: {}, m: {}, v: {} };
  for (const name of Object.keys(weights))
    [next.weights[name], next.m[name], next.v[name]] = adamw(weights[name], gradients[name], m[name], v[name], bias1.ref, bias2.ref);
  bias1.dispose();
  bias2.dispose();
  return { ...next, loss };
}

function start() {
  const array = (data, shape) => np.array(data).reshape(shape);
  const weights = Object.fromEntries(model.weights.map(({ name, data, shape }) => [name, array(data, shape)]));
  const zeros = () => Object.fromEntries(model.weights.map(({ name, shape }) => [name, np.zeros(shape)]));
  const { batch, seq, dim, heads } = model;
  const table = (of) => array(rotary(of, model, SPEC.ropeTheta), [1, seq, 1, dim / heads]);
  return {
    weights,
    m: zeros(),
    v: zeros(),
    tokens: array(model.tokens, [batch, seq]),
    targets: array(model.targets, [batch * seq]),
    cos: table(Math.cos),
    sin: table(Math.sin),
    steps: 0,
    step: jax.jit(update),
  };
}

async function step() {
  run ??= start();
  run.steps++;
  const bias = (beta) => np.array(1 - beta ** run.steps);
  const { tokens, targets, cos, sin } = run;
  const { weights, m, v, loss } = run.step(run.weights, run.m, run.v, tokens.ref, targets.ref, cos.ref, sin.ref, bias(beta1), bias(beta2));
  Object.assign(run, { weights, m, v });
  await jax.blockUntilReady({ weights, m, v, loss });
  return (await loss.data())[0];
}

const operands = new Map();
const product = (a, b) => np.matmul(a, b);
let jitted;

async function multiply({ m, n, k, a, b, c, times }) {
  const key = `${m},${n},${k}`;
  if (!operands.has(key)) {
    const pair = [readMatrix(a, m, k), readMatrix(b, k, n)].map(({ data, shape }) => np.array(data).reshape(shape));
    await jax.blockUntilReady(pair);
    operands.set(key, pair);
  }
  jitted ??= jax.jit(product);
  const [x, y] = operands.get(key);
  const started = performance.now();
  const products = Array.from({ length: times }, () => jitted(x.ref, y.ref));
  await jax.blockUntilReady(products);
  const ms = (performance.now() - started) / times;
  if (c !== null) {
    const data = await products.at(-1).ref.data();
    writeFileSync(c, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  for (const p of products) p.dispose();
  return { ms };
}

await serve({
  async open({ device: wanted }) {
    let name = 'CPU';
    if (device === 'webgpu') name = await installGpu(wanted);
    else installNavigator(undefined);
    jax = await import('@jax-js/jax');
    np = jax.numpy;
    await jax.init(device);
    jax.defaultDevice(device);
    return { library: `jax-js ${packageVersion('@jax-js/jax', import.meta.url)} (${device})`, device: name };
  },
  async load(request) {
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
