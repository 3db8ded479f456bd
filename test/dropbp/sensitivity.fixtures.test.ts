/** @file Sensitivities against the reference code, full fine-tuning and LoRA, norms and differences; and that probing leaves no trace. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sensitivities } from '../../src/dropbp/sensitivity.ts';
import { openSafetensors, readInts } from '../../src/formats/safetensors.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { usersOf } from '../../src/runtime/probe.ts';
import type { Probed } from '../../src/runtime/runProbes.ts';
import { loraOf, openSession, type Session } from '../../src/session.ts';
import { makeBatch } from '../../src/train/batches.ts';
import { microBatch, unitsOf } from '../../src/train/loop.ts';
import { loadAdapter } from '../../src/trainer/adapter.ts';
import { withFixtures } from '../formats/fixtureFolder.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

interface ReferenceRun {
  readonly sensitivities: readonly number[];
  readonly grad_norms_nothing_dropped?: Readonly<Record<string, number>>;
  readonly grad_norms_branch_dropped?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}
interface Reference {
  readonly branch_order: readonly string[];
  readonly sensitivity: { readonly runs: Readonly<Record<string, ReferenceRun>> };
}

const ones = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);

/** Norms of every gradient, with nothing dropped and below each dropped unit; the number compared. */
function compareNorms(
  { program }: Engine,
  probed: Probed,
  whole: Readonly<Record<string, number>>,
  without: Readonly<Record<string, Readonly<Record<string, number>>>>,
): number {
  const fileName = (param: number): string => program.params[param]!.name.replace(/lora_([AB])\.weight/, 'lora_$1.default.weight');
  const normOf = (norms: Readonly<Record<string, number>>, param: number): number =>
    norms[program.params[param]!.name] ?? norms[fileName(param)] ?? norms[`base_model.model.${fileName(param)}`] ?? 0;
  const close = (param: number, found: number, wanted: number): void =>
    expect({ param, ok: Math.abs(found - wanted) <= 1e-3 * wanted + 1e-6, found, wanted }).toMatchObject({ ok: true });
  let compared = 0;
  for (const [param, norm] of probed.whole) close(param, norm, normOf(whole, param));
  for (const [unit, norms] of probed.dropped)
    for (const [param, norm] of norms) {
      close(param, norm, normOf(without[unit]!, param));
      compared++;
    }
  return compared;
}

withFixtures('dropbp', (root) => {
  const reference = JSON.parse(readFileSync(join(root, 'reference.json'), 'utf8')) as Reference;
  const file = openSafetensors(join(root, 'batch.safetensors'));
  const [, length = 0] = file.tensors.get('input_ids')?.shape ?? [];
  // the reference measures row 0 of the batch
  const row = makeBatch(1, length, readInts(file, 'input_ids').slice(0, length), readInts(file, 'labels').slice(0, length), null, 2 ** 30);

  let opened: TestDevice;
  beforeAll(async () => {
    opened = await openTestDevice();
  });
  afterAll(() => opened.device.destroy());

  const open = (trains: 'full' | 'lora', probes: 'norms' | 'differences'): Promise<Session> =>
    openSession(join(root, 'model'), opened, {
      mode: trainingMode(length),
      dims: { B: 1, T: length },
      lora: trains === 'lora' ? loraOf(loadAdapter(join(root, 'lora_adapter'))) : null,
      trains: trains === 'lora' ? 'adapter' : 'full',
      micros: 1,
      optimizer: 'adamw',
      decay: 'matrices',
      seed: 0,
      probes,
    });

  it.each([
    ['full', 'norms', 'full_gradnorm_true'],
    ['full', 'differences', 'full_gradnorm_false'],
    ['lora', 'norms', 'lora_gradnorm_true'],
    ['lora', 'differences', 'lora_gradnorm_false'],
  ] as const)('%s, %s', async (trains, kind, run) => {
    const { engine } = await open(trains, kind);
    const { program } = engine;
    const units = unitsOf(engine);
    expect(units).toEqual(reference.branch_order);
    const probed = await engine.probe({ ...row, scalar: ones });
    const layout = { calls: program.calls.map((c) => c.site), users: usersOf(program) };
    const found = sensitivities(units, probed, kind, layout);
    const { sensitivities: wanted, grad_norms_nothing_dropped: whole, grad_norms_branch_dropped: without } = reference.sensitivity.runs[run]!;
    const compared = whole && without ? compareNorms(engine, probed, whole, without) : 0;
    expect(compared).toBeGreaterThanOrEqual(kind === 'norms' ? 300 : 0);
    expect(wanted).toHaveLength(units.length);
    const off = found.map((s, i) => Math.abs(s - wanted[i]!) / wanted[i]!);
    expect({ ok: off.every((x) => x < 1e-3), off, found }).toMatchObject({ ok: true });
    engine.destroy();
  });

  it('a step behind a probe is the step without it, bit for bit', async () => {
    const weights = async (probes: boolean): Promise<Float32Array[]> => {
      const { engine } = await open('full', 'norms');
      const update = { optimizer: 'adamw', maxNorm: 1, alsoUntouched: false, scalar: () => 0.01 } as const;
      for (let step = 0; step < 2; step++) {
        if (probes) await engine.probe({ ...row, scalar: ones });
        await engine.step([microBatch(row, ['layers.2.mlp'], ones)], update).read();
      }
      const out = await Promise.all(engine.program.params.map((p, i) => (p.trainable ? engine.readParam(i) : new Float32Array())));
      engine.destroy();
      return out;
    };
    expect(await weights(true)).toEqual(await weights(false));
  });
});
