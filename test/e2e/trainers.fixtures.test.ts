/** @file Generated trainers of the fixtures' checkpoints against PyTorch: every full and LoRA run, through the folders `ebb compile` writes. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readBatches } from '../../src/formats/batchesFile.ts';
import { openSafetensors, parseConfig, readFloats, type StepMetrics } from '../../src/index.ts';
import { openPackageRun } from '../../src/trainer/main.ts';
import { filesOf, type LoadedTrainer, loadTrainer } from '../../src/trainer/package.ts';
import { withFixtures } from '../formats/fixtureFolder.ts';
import { runCli } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { expectWeights, fixtureRuns, ownName, runTolerances, trainConfig } from '../support/trainRun.ts';

withFixtures('train', (root) => {
  let opened: TestDevice;
  let scratch: string;
  beforeAll(async () => {
    opened = await openTestDevice();
    scratch = mkdtempSync(join(tmpdir(), 'ebb-trainers-'));
  });
  afterAll(() => {
    opened.device.destroy();
    rmSync(scratch, { recursive: true });
  });

  /** Packages by what they were compiled of. */
  const packages = new Map<string, Promise<LoadedTrainer>>();
  const compiled = (base: string, batches: string, adapter: string | null): Promise<LoadedTrainer> => {
    const settings = adapter === null ? 'full' : readFileSync(join(adapter, 'adapter_config.json'), 'utf8');
    const key = `${base} ${batches} ${settings}`;
    const known = packages.get(key);
    if (known) return known;
    const made = (async () => {
      const { batch, length } = readBatches(batches);
      const out = join(scratch, String(packages.size));
      const lora = adapter === null ? [] : ['--adapter', adapter];
      const run = await runCli(['compile', base, '-o', out, '--batch', String(batch), '--length', String(length), ...lora]);
      expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
      return loadTrainer(filesOf(pathToFileURL(`${out}/`)));
    })();
    packages.set(key, made);
    return made;
  };

  const runs = fixtureRuns(root).filter((r) => r.refusal === null);
  it('holds runs that are compared', () => expect(runs.length).toBeGreaterThan(0));

  for (const { name, folder, run, base, batches: data, adapter } of runs) {
    it(name, async () => {
      const tolerances = runTolerances(run);
      const loaded = await compiled(base, data, adapter);
      const out = join(scratch, name.replace('/', '-'));
      const lora = adapter === null ? false : { from: adapter };
      const { B = 1, T = 1 } = Object.fromEntries(loaded.program.dims.map((dim) => [dim.name, dim.bound]));
      const config = parseConfig({ ...trainConfig(run), model: base, data, out, lora, batch: B, length: T }, 'run.json');
      const steps: StepMetrics[] = [];
      const trained = await openPackageRun(loaded, config, opened, {});
      for await (const step of trained.steps()) steps.push(step);
      await trained.save();
      trained.close();
      run.log.forEach((expected, i) => {
        const found = steps[i]!;
        expected.losses.forEach((loss, k) => expect(Math.abs(loss - found.losses[k]!)).toBeLessThan(tolerances.loss));
        expect(Math.abs(found.gradNorm - expected.grad_norm_before_clip)).toBeLessThanOrEqual(tolerances.norm * Math.max(expected.grad_norm_before_clip, 1e-3));
        expect(found.dropped.flat()).toEqual(expected.dropped.flat());
      });
      const written = openSafetensors(join(out, adapter === null ? 'result/model.safetensors' : 'result/adapter_model.safetensors'));
      const golden = openSafetensors(join(folder, 'golden.safetensors'));
      for (const tensor of golden.tensors.keys()) {
        if (!tensor.startsWith('final.')) continue;
        const own = ownName(tensor.slice(6));
        expectWeights(own, readFloats(written, adapter === null ? own : `base_model.model.${own}`), readFloats(golden, tensor), run);
      }
    });
  }
});
