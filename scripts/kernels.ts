/**
 * Prints a hash of every kernel of the test models for every kind of device: `tsx scripts/kernels.ts [CHECKOUT]`.
 * Run it before and after a change that should not change any kernel, and compare both outputs.
 */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { DeviceTraits } from '../src/codegen/kernel/device.ts';
import { at } from '../src/errors.ts';
import type { TinyOptions } from '../test/support/tinyModels.ts';

const root = resolve(process.argv[2] ?? '.');
const { compileModel } = (await import(`${root}/src/compile/compile.ts`)) as typeof import('../src/compile/compile.ts');
const { tinyModel } = (await import(`${root}/test/support/tinyModels.ts`)) as typeof import('../test/support/tinyModels.ts');

const GPU = { subgroups: true, maxInvocations: 1024, maxWorkgroupStorage: 32768 };
const matrices = (edge: number, input: 'f16' | 'f32') => ({ shapes: [{ m: edge, n: edge, k: edge, input, lanes: 32 }], multiple: 32 });
const DEVICES: Readonly<Record<string, DeviceTraits>> = {
  lavapipe: { ...GPU, kind: 'lavapipe', subgroupSize: 8 },
  swiftshader: { ...GPU, kind: 'swiftshader', subgroupSize: 4, maxWorkgroupStorage: 16384 },
  nvidia: { ...GPU, kind: 'nvidia', subgroupSize: 32, maxWorkgroupStorage: 49152 },
  'nvidia with matrices': { ...GPU, kind: 'nvidia', subgroupSize: 32, matrices: matrices(16, 'f16'), maxWorkgroupStorage: 49152 },
  amd: { ...GPU, kind: 'amd', subgroupSize: null },
  apple: { ...GPU, kind: 'apple', subgroupSize: 32, matrices: matrices(8, 'f32') },
  intel: { ...GPU, kind: 'intel', subgroupSize: null },
  other: { kind: 'other', subgroups: false, subgroupSize: null, maxInvocations: 256, maxWorkgroupStorage: 16384 },
};
const MODELS: Readonly<Record<string, TinyOptions>> = {
  llama: {},
  gpt2: { kind: 'gpt2' },
  lora: { lora: { dropout: 0.1 } },
  'sizes in fours': { hiddenSize: 64, headDim: 16, intermediateSize: 176, vocabSize: 512, dims: { B: 8, T: 256 } },
  'head in parts': { logitsKept: 40 * 18 },
  generation: { mode: 'generation' },
  'bf16 logits': { mode: 'logits', dtype: 'bf16' },
  'q4_0 adapter': { dtype: 'q4_0', lora: true, hiddenSize: 32, intermediateSize: 64, headDim: 8 },
};

/** Chooses the standard schedules first. Then each problem takes another candidate, so that there are kernels of all kinds of schedules. */
const CHOICES: Readonly<Record<string, (problem: number) => number>> = { standard: () => -1, candidates: (problem) => problem };

const hash = (text: string): string => createHash('sha1').update(text).digest('hex').slice(0, 12);
const lines: string[] = [];
for (const [kind, traits] of Object.entries(DEVICES))
  for (const [model, options] of Object.entries(MODELS))
    for (const [choice, index] of Object.entries(CHOICES)) {
      let problem = 0;
      const { program } = compileModel(tinyModel(options), {
        device: {
          traits,
          maxBuffers: 8,
          ...(traits.matrices?.shapes.some(({ input }) => input === 'f16') ? { matmulPrecision: 'f16' } : {}),
          choose: ({ name, key, standard, plain, candidates }) => {
            lines.push(`${kind} · ${model} · problem ${name} ${hash(JSON.stringify([key, standard, plain, candidates]))}`);
            const chosen = index(problem++);
            return chosen < 0 || candidates.length === 0 ? standard : at(candidates, chosen % candidates.length);
          },
        },
      });
      for (const { name, code, moves } of program.pipelines) lines.push(`${kind} · ${model} · ${choice} · ${name} ${hash(code + JSON.stringify(moves))}`);
    }
console.log(lines.join('\n'));
console.log(`${lines.length} lines ${hash(lines.join('\n'))}`);
