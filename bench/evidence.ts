/**
 * Whether training with dropped backwards learns as well: runs of many settings in several seeds, on one device (bench/README.md).
 *
 *   npm run bench:evidence -- --help
 */

import { join } from 'node:path';
import picomatch from 'picomatch';
import { withDevice } from '../src/node/device.ts';
import { stepCosts } from './evidence/costs.ts';
import { type EvidenceOptions, parseOptions, USAGE } from './evidence/options.ts';
import { runSetting } from './evidence/run.ts';
import { settingsOf, sweepOf } from './evidence/settings.ts';
import { openWorkbench, type Workbench } from './evidence/workbench.ts';

/** Seeds outermost: what is there of unfinished evidence is whole seeds. */
async function runAll(bench: Workbench, { subject, what, out }: EvidenceOptions): Promise<void> {
  const { program } = await bench.engineAt({ kind: 'none' }, 0);
  const chosen = what === 'sweep' ? sweepOf(subject.sweep) : settingsOf(stepCosts(program)).filter((s) => picomatch(subject.only)(s.name));
  const seeds = what === 'sweep' ? [0] : Array.from({ length: subject.seeds }, (_, i) => i + 1);
  for (const seed of seeds)
    for (const setting of chosen) {
      const started = performance.now();
      const done = await runSetting(bench, setting, seed, subject.steps, join(out, subject.name, setting.name, `seed-${seed}`));
      console.log(`${setting.name}, seed ${seed}: ${done === 'run' ? `${((performance.now() - started) / 1000).toFixed(0)} s` : done}`);
    }
}

const options = parseOptions(process.argv.slice(2));
if (options === 'help') console.log(USAGE);
else await withDevice(options.adapter, (device) => runAll(openWorkbench(options.subject, device), options));
