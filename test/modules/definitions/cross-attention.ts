import {
  add,
  attention,
  defineModel,
  exp,
  layerNorm,
  linear,
  log,
  mean,
  meanOver,
  mul,
  param,
  reshape,
  section,
  sigmoid,
  softmax,
  stopGradient,
  sub,
  sum,
  type Tensor,
  unit,
} from 'ebb';

/** Attention within a window that is not causal, and to a memory of another length; a gate of one unit in the next; distillation from a detached head. */
export const model = defineModel({
  inputs: {
    x: { dtype: 'f32', shape: ['B', 'T', 8] },
    memory: { dtype: 'f32', shape: ['B', 'S', 8] },
    seg: { dtype: 'i32', shape: ['B', 'T'] },
    mseg: { dtype: 'i32', shape: ['B', 'S'] },
  },
  dims: { B: 2, T: 5, S: 7 },
  build: ({ x, memory, seg, mseg }) => {
    let declared = false;
    const norm = (y: Tensor): Tensor => {
      const tied = declared;
      declared = true;
      return layerNorm(y, param('norm.w', [8], { tied }), param('norm.b', [8], { tied }), 1e-5);
    };
    const m = section('memory', () => linear('memory', norm(memory), { inputs: 8, outputs: 8 }));
    const gates: Tensor[] = [];
    let y = linear('in', x, { inputs: 8, outputs: 8 });
    for (let i = 0; i < 2; i++) {
      y = unit(`self.${i}`, y, (h) => {
        const z = norm(h);
        const p = (n: string, heads: number): Tensor => reshape(linear(`self.${i}.${n}`, z, { inputs: 8, outputs: heads * 4 }), ['B', 'T', heads, 4]);
        const o = attention(p('q', 2), p('k', 1), p('v', 1), { scale: 0.5, causal: false, window: 2, softCap: 3, segments: [seg, seg] });
        return linear(`self.${i}.o`, reshape(o, ['B', 'T', 8]), { inputs: 8, outputs: 8 });
      });
      y = unit(`cross.${i}`, y, (h) => {
        const q = reshape(linear(`cross.${i}.q`, norm(h), { inputs: 8, outputs: 8 }), ['B', 'T', 2, 4]);
        const k = reshape(linear(`cross.${i}.k`, m, { inputs: 8, outputs: 8 }), ['B', 'S', 2, 4]);
        const v = reshape(linear(`cross.${i}.v`, m, { inputs: 8, outputs: 8 }), ['B', 'S', 2, 4]);
        const o = reshape(attention(q, k, v, { scale: 0.4, causal: false, segments: [seg, mseg] }), ['B', 'T', 8]);
        const gate = sigmoid(mean(o));
        gates.push(gate);
        const earlier = gates[i - 1];
        return earlier ? mul(o, earlier) : o;
      });
    }
    const student = softmax(linear('head', y, { inputs: 8, outputs: 6 }));
    const teacher = stopGradient(softmax(linear('head.ema', norm(y), { inputs: 8, outputs: 6 })));
    const kl = mean(sum(mul(teacher, sub(log(add(teacher, 1e-6)), log(add(student, 1e-6)))), [2]));
    const spread = mean(exp(mul(meanOver(y, [1]), 0.2)));
    return [add(kl, mul(spread, gates[0]!)), gates[1]!, student];
  },
});
