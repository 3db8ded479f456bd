/** @file Definitions that pass scalars, ties and detached tensors between functions: every gradient under every pattern is PyTorch's. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensors, readFloats } from '../../src/formats/safetensors.ts';
import type { CommandDevice } from '../../src/node/device.ts';
import { forward, grad } from '../../src/session/forward.ts';
import { openTestDevice } from '../support/testDevice.ts';

interface Golden {
  readonly patterns: Readonly<Record<string, { readonly dropped: readonly string[]; readonly loss: number; readonly absent: readonly string[] }>>;
}

const HERE = join(__dirname, 'definitions');
const NAMES = readdirSync(join(HERE, 'golden'));

let device: CommandDevice;
let folder: string;
beforeAll(async () => {
  device = await openTestDevice();
  folder = mkdtempSync(join(tmpdir(), 'ebb-torch-'));
});
afterAll(() => {
  device.device.destroy();
  rmSync(folder, { recursive: true });
});

/** Largest difference, as a share of the tensor's largest element. */
function apart(found: Float32Array, wanted: Float32Array): number {
  expect(found).toHaveLength(wanted.length);
  const most = wanted.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-7);
  return wanted.reduce((m, x, i) => Math.max(m, Math.abs(x - found[i]!)), 0) / most;
}

it('every definition has golden numbers', () => {
  const definitions = readdirSync(HERE).filter((name) => name.endsWith('.ts'));
  expect(definitions.map((name) => name.replace('.ts', '')).sort()).toEqual([...NAMES].sort());
});

describe.each(NAMES)('%s', (name) => {
  const at = (file: string): string => join(HERE, 'golden', name, file);
  const model = join(HERE, `${name}.ts`);
  const inputs = { weights: at('weights.safetensors'), batch: at('batch.safetensors') };
  const { patterns } = JSON.parse(readFileSync(at('golden.json'), 'utf8')) as Golden;

  it('forward', async () => {
    const out = join(folder, `${name}.forward`);
    const golden = openSafetensors(at('golden.safetensors'));
    const written = await forward(model, { ...inputs, out, device });
    expect(written.length).toBe([...golden.tensors.keys()].filter((n) => n.startsWith('result.')).length);
    const made = openSafetensors(out);
    for (const [i, result] of written.entries()) {
      expect(golden.tensors.get(`result.${i}`)!.shape).toEqual(result.shape);
      expect({ i, apart: apart(readFloats(made, result.name), readFloats(golden, `result.${i}`)) }).toEqual({ i, apart: expect.closeTo(0, 5) });
    }
  });

  it.each(Object.keys(patterns))('gradients without %s', async (pattern) => {
    const { dropped, loss, absent } = patterns[pattern]!;
    const out = join(folder, `${name}.${pattern}`);
    const report = await grad(model, { ...inputs, out, drop: dropped, device });
    expect(report.loss).toBeCloseTo(loss, 5);
    expect([...report.absent].sort()).toEqual([...absent].sort());
    const [made, golden] = [openSafetensors(out), openSafetensors(at('golden.safetensors'))];
    const names = [...golden.tensors.keys()].filter((n) => n.startsWith(`grad.${pattern}.`)).map((n) => n.slice(`grad.${pattern}.`.length));
    expect([...made.tensors.keys()].sort()).toEqual(names.sort());
    for (const param of names) {
      const off = apart(readFloats(made, param), readFloats(golden, `grad.${pattern}.${param}`));
      expect({ param, close: off < 1e-4, off }).toMatchObject({ close: true });
    }
  });
});
