/**
 * Measures whether training with dropped backwards learns as well, by runs of many settings with several seeds on one device
 * (bench/README.md).
 *
 *   npm run bench:evidence -- --help
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import picomatch from 'picomatch';
import { type CommandDevice, withDevice } from '../src/node/device.ts';
import { stepCosts } from './evidence/costs.ts';
import { type EvidenceOptions, parseOptions, USAGE } from './evidence/options.ts';
import { writeMemory, writeReport } from './evidence/report.ts';
import { runSetting } from './evidence/run.ts';
import { type RunSetting, settingsOf, sweepOf } from './evidence/settings.ts';
import { measureTimes, TIMES } from './evidence/times.ts';
import { openProgram, openWorkbench, type Workbench } from './evidence/workbench.ts';

/** Runs all settings of one seed before the next seed, so that unfinished evidence holds whole seeds. */
async function runAll(bench: Workbench, settings: readonly RunSetting[], seeds: readonly number[], runs: string): Promise<void> {
  for (const seed of seeds)
    for (const setting of settings) {
      const started = performance.now();
      const done = await runSetting(bench, setting, seed, bench.subject.steps, join(runs, setting.name, `seed-${seed}`));
      console.log(`${setting.name}, seed ${seed}: ${done === 'run' ? `${((performance.now() - started) / 1000).toFixed(0)} s` : done}`);
    }
}

async function measure({ subject, what, out, rounds }: EvidenceOptions, device: CommandDevice): Promise<void> {
  const bench = openWorkbench(subject, device);
  const runs = join(out, subject.name);
  if (what === 'sweep') return runAll(bench, sweepOf(subject.sweep), [0], runs);
  const { engine, compiled } = await openProgram(bench, { kind: 'none' }, 0);
  engine.destroy();
  const settings = settingsOf(stepCosts(compiled.program)).filter((s) => picomatch(subject.only)(s.name));
  const seeds = Array.from({ length: subject.seeds }, (_, i) => i + 1);
  if (what === 'runs') return runAll(bench, settings, seeds, runs);
  // settings that differ only in their number of steps or their learning rate have the same steps, so one of them is timed
  const times = await measureTimes(
    bench,
    settings.filter((s) => s.share === undefined && s.lr === undefined),
    rounds,
    runs,
  );
  mkdirSync(runs, { recursive: true });
  writeFileSync(join(runs, TIMES), `${JSON.stringify(times)}\n`);
}

async function act(options: EvidenceOptions, device: CommandDevice): Promise<void> {
  const { what, subjects, out } = options;
  if (what === 'report') writeReport(subjects, out, device);
  else if (what === 'memory') await writeMemory(subjects, device);
  else await measure(options, device);
}

const options = parseOptions(process.argv.slice(2));
if (options === 'help') console.log(USAGE);
else await withDevice(options.device, (device) => act(options, device));
