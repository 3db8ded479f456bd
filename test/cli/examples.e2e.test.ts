/** @file Every model in examples/, as a person uses it: compiled, its trainer type-checked, trained for five steps. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SafetensorsEntry, writeSafetensors } from '../../src/formats/safetensors.ts';
import type { Plan } from '../../src/runtime/planFile.ts';
import { ROOT, runCli } from '../support/cli.ts';
import { runNode } from '../support/node.ts';

const EXAMPLES = join(ROOT, 'examples');
const definitions = readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts') && /export const model = /.test(readFileSync(join(EXAMPLES, name), 'utf8')));

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-examples-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** One batch of small numbers for every input, at the bounds. */
function batchFor({ inputs, dims }: Plan): SafetensorsEntry[] {
  const bounds = new Map(dims.map((d) => [d.name, d.bound]));
  return inputs.map(({ name, dtype, extent }) => {
    const shape = [1, ...extent.of.map((d) => (typeof d === 'number' ? d : bounds.get(d)!))];
    const count = shape.reduce((a, b) => a * b, 1);
    return dtype === 'f32'
      ? { name, dtype: 'F32' as const, shape, data: Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7)) }
      : { name, dtype: 'I32' as const, shape, data: Int32Array.from({ length: count }, (_, i) => (name === 'segments' ? 1 : (i * 5) % 7)) };
  });
}

it('there are examples of language, vision or diffusion, skip connections and an own op', () => {
  expect(definitions.length).toBeGreaterThanOrEqual(6);
});

it.each(definitions)(
  '%s',
  async (example) => {
    const out = join(scratch, example.replace('.ts', ''));
    const compiled = await runCli(['compile', join(EXAMPLES, example), '-o', out]);
    expect({ code: compiled.code, stderr: compiled.stderr }).toEqual({ code: 0, stderr: '' });
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', out], { stdio: 'pipe' });
    writeSafetensors(join(out, 'batch.safetensors'), batchFor(JSON.parse(readFileSync(join(out, 'plan.json'), 'utf8')) as Plan));
    const run = join(out, 'run');
    const flags = ['--data', join(out, 'batch.safetensors'), '--steps', '5', '--lr', '3e-3', '--drop-rate', '0.3', '--seed', '2', '--out', run];
    const trained = await runNode(join(out, 'trainer.js'), flags);
    expect({ code: trained.code, stderr: trained.code === 0 ? '' : trained.stderr }).toEqual({ code: 0, stderr: '' });
    const losses = readFileSync(join(run, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { loss: number }).loss);
    expect(losses).toHaveLength(5);
    expect(losses[4]).toBeLessThan(losses[0]!);
  },
  300_000,
);
