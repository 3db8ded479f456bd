/** @file Sensitivities agree with the reference code for full fine-tuning and LoRA, by norms and by differences; and probing leaves no trace in a run. */

import { join } from 'node:path';
import { sensitivities } from '../../src/dropbp/sensitivity.ts';
import { openSafetensors, readInts } from '../../src/formats/safetensors.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import { loadAdapter } from '../../src/run/adapter.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { usersOf } from '../../src/runtime/link/probe.ts';
import type { Probed } from '../../src/runtime/runProbes.ts';
import { loraOf, openSession, type Session } from '../../src/session/session.ts';
import { makeBatch } from '../../src/train/batches.ts';
import { microBatch, unitsOf } from '../../src/train/loop.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { ownName } from '../support/trainRun.ts';

/** Norms of gradients by the names that the reference's model gives its parameters. Null where there is no gradient. */
type Norms = Readonly<Record<string, number | null>>;
interface ReferenceRun {
  readonly sensitivities: readonly number[];
  readonly grad_norms_nothing_dropped?: Norms;
  readonly grad_norms_branch_dropped?: Readonly<Record<string, Norms>>;
}
interface Reference {
  readonly branch_order: readonly string[];
  readonly sensitivity: { readonly runs: Readonly<Record<string, ReferenceRun>> };
}

const ones = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);

/** Expects for every parameter that the reference lists, with nothing dropped and with each unit dropped, the same norm, or no gradient on either side. */
function compareNorms({ program }: Engine, probed: Probed, whole: Norms, without: Readonly<Record<string, Norms>>): void {
  const users = usersOf(program);
  const sites = program.calls.map((c) => c.site);
  const paramOf = (name: string): number => {
    const own = ownName(name.replace(/^base_model\.model\./, '').replace('.base_layer.', '.'));
    const param = program.params.findIndex((p) => p.name === own);
    if (param < 0) throw new Error(`${name} of the reference is no parameter of the model`);
    return param;
  };
  const compare = (norms: Norms, found: (param: number) => number | null): void => {
    for (const [name, wanted] of Object.entries(norms)) {
      const norm = found(paramOf(name));
      const ok = wanted === null || norm === null ? norm === wanted : Math.abs(norm - wanted) <= 1e-3 * wanted + 1e-6;
      expect({ name, ok, norm, wanted }).toMatchObject({ ok: true });
    }
  };
  const listed = new Set(Object.keys(whole).map(paramOf));
  expect(program.params.flatMap((p, i) => (p.trainable && !listed.has(i) ? [p.name] : []))).toEqual([]);
  compare(whole, (param) => probed.whole.get(param) ?? null);
  expect(Object.keys(without).sort()).toEqual([...probed.dropped.keys()].sort());
  for (const [unit, below] of probed.dropped) {
    // a parameter that is used only above the unit is not probed, because nothing changes there
    const isAbove = (param: number): boolean => [...(users.get(param) ?? [])].every((call) => call > sites.indexOf(unit));
    compare(without[unit]!, (param) => below.get(param) ?? (isAbove(param) ? (probed.whole.get(param) ?? null) : null));
  }
}

withFixtures('dropbp', (root) => {
  const reference = readJson(join(root, 'reference.json')) as Reference;
  const units = reference.branch_order;
  const file = openSafetensors(join(root, 'batch.safetensors'));
  const [, length = 0] = file.tensors.get('input_ids')?.shape ?? [];
  // the reference measures row 0 of the batch
  const { vocabSize } = openCheckpoint(join(root, 'model')).config;
  const row = makeBatch(1, length, readInts(file, 'input_ids').slice(0, length), readInts(file, 'labels').slice(0, length), null, vocabSize);

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

  it.each(Object.entries(reference.sensitivity.runs))('%s', async (name, run) => {
    const [, trains, normed] = /^(full|lora)_gradnorm_(true|false)$/.exec(name) ?? [];
    if (trains === undefined) throw new Error(`${name}: nothing says what such a run trains and measures`);
    const kind = normed === 'true' ? 'norms' : 'differences';
    const { engine } = await open(trains as 'full' | 'lora', kind);
    const { program } = engine;
    expect(unitsOf(engine)).toEqual(units);
    const probed = await engine.probe({ ...row, scalar: ones });
    const layout = { calls: program.calls.map((c) => c.site), users: usersOf(program) };
    const found = sensitivities(units, probed, kind, layout);
    const { sensitivities: wanted, grad_norms_nothing_dropped: whole, grad_norms_branch_dropped: without } = run;
    expect({ whole: whole !== undefined, without: without !== undefined }).toEqual({ whole: kind === 'norms', without: kind === 'norms' });
    if (whole && without) compareNorms(engine, probed, whole, without);
    expect(wanted).toHaveLength(units.length);
    const off = found.map((s, i) => Math.abs(s - wanted[i]!) / wanted[i]!);
    expect({ ok: off.every((x) => x < 1e-3), off, found }).toMatchObject({ ok: true });
    engine.destroy();
  });

  it('a step after a probe is bit for bit the step without the probe', async () => {
    const weights = async (probes: boolean): Promise<Float32Array[]> => {
      const { engine } = await open('full', 'norms');
      const update = { optimizer: 'adamw', maxNorm: 1, alsoUntouched: false, scalar: () => 0.01 } as const;
      for (let step = 0; step < 2; step++) {
        if (probes) await engine.probe({ ...row, scalar: ones });
        await engine.step([microBatch(row, [units[Math.floor(units.length / 2)]!], ones)], update).read();
      }
      const out = await Promise.all(engine.program.params.map((p, i) => (p.trainable ? engine.readParam(i) : new Float32Array())));
      engine.destroy();
      return out;
    };
    expect(await weights(true)).toEqual(await weights(false));
  });
});
