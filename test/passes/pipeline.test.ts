/** @file Every pass over every kind of model: what it makes is well formed, prints, and parses back to itself. */

import { compileModel } from '../../src/compile/compile.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import type { Func } from '../../src/ir/types.ts';
import { verify } from '../../src/ir/verify.ts';
import { CPU_DEVICE, type TinyOptions, tinyModel } from '../support/tinyModels.ts';

const MODELS: Record<string, TinyOptions> = {
  'llama, full': {},
  'llama, untied': { tie: false },
  'llama, LoRA with dropout on Q4_1': { lora: { dropout: 0.1 }, dtype: 'q4_1', hiddenSize: 32, headDim: 8, intermediateSize: 64 },
  'gpt2, full': { kind: 'gpt2' },
  'gpt2, LoRA on f16': { kind: 'gpt2', lora: true, dtype: 'f16' },
  'llama, logits': { mode: 'logits' },
  'llama, generation': { mode: 'generation' },
  'gpt2, generation': { kind: 'gpt2', mode: 'generation' },
};

describe.each(Object.entries(MODELS))('%s', (_name, options) => {
  const model = tinyModel(options);
  const seen: [string, Func][] = [];
  const { stages, program } = compileModel(model, { device: CPU_DEVICE, onPass: (pass, func) => seen.push([pass, func]) });

  it('is well formed and round-trips after every pass', () => {
    const training = (options.mode ?? 'training') === 'training';
    const passes = new Set(seen.map(([pass]) => pass));
    for (const pass of ['expand', 'simplify', 'fuse', 'overwrite', ...(training ? ['expand_for_grad', 'grad', 'dropbp'] : [])]) expect(passes).toContain(pass);
    for (const [pass, func] of seen) {
      const module = { dims: stages.fuse.dims, funcs: [func] };
      expect({ pass, ...{ error: errorOf(() => verify(module)) } }).toEqual({ pass, error: null });
      const text = printModule(module);
      const back = parseModule(text, `${pass}.ebb`);
      verify(back);
      expect(printModule(back)).toBe(text);
    }
  });

  it('the traced module calls outlined functions only, one for all equal layers', () => {
    verify(model.module);
    const main = model.module.funcs.at(-1)!;
    expect(main.ops.every((op) => op.name === 'call')).toBe(true);
    expect(printModule(parseModule(printModule(model.module), 'trace.ebb'))).toBe(printModule(model.module));
    expect(model.module.funcs.map((f) => f.name)).toEqual(['embed', 'attn', 'mlp', 'head', 'main']);
    const deeper = tinyModel({ ...options, numLayers: 5 });
    expect(deeper.module.funcs.length).toBe(model.module.funcs.length);
    expect(compileModel(deeper, { device: CPU_DEVICE }).program.pipelines.length).toBe(program.pipelines.length);
  });

  it('no group binds more buffers than a device must offer', () => {
    for (const pipeline of program.pipelines) expect(pipeline.access.length).toBeLessThanOrEqual(8);
  });
});

function errorOf(f: () => void): string | null {
  try {
    f();
    return null;
  } catch (error) {
    return String(error);
  }
}

it('the IR of a small Llama at every stage', () => {
  const model = tinyModel({ numLayers: 1 });
  const { stages } = compileModel(model, { device: CPU_DEVICE, optimizers: ['adamw'] });
  expect(printModule(stages.trace)).toMatchSnapshot('trace');
  expect(printModule(stages.dropbp)).toMatchSnapshot('dropbp');
  expect(printModule(stages.fuse)).toMatchSnapshot('fuse');
});

it('the variant of a LoRA layer at the frontier computes no gradient for its input', () => {
  const { stages } = compileModel(tinyModel({ lora: true, numLayers: 1 }), { device: CPU_DEVICE });
  const names = stages.dropbp.funcs.map((f) => f.name);
  expect(names.some((n) => n.endsWith('.bwd.nodx'))).toBe(true);
  for (const func of stages.dropbp.funcs.filter((f) => f.name.endsWith('.bwd.nodx')))
    expect(func.results.every((r) => r.role === 'grad' && func.params.every((p) => p.role !== 'cotangent' || p.value !== r.value))).toBe(true);
});
