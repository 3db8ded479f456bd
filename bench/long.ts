/**
 * Runs a training step of four layers of model S at a length of 4096. No buffer of attention has length × length elements.
 *
 *   npx tsx bench/long.ts [device]
 *
 * It prints the step's wall time and loss, and the bytes of each kind of buffer. It takes minutes on a CPU.
 */

import { openDevice } from '../src/index.ts';
import { bareEngine, bareRun } from './bare.ts';
import { modelSpec } from './spec.ts';

const spec = { ...modelSpec('S'), layers: 4, seq: 4096 };
const opened = await openDevice({ device: process.argv[2] ?? 'auto' });
const engine = await bareEngine(opened, spec);
console.log(
  `${opened.device.profile.name}; ${Object.entries(engine.memory)
    .map(([kind, bytes]) => `${kind} ${(bytes / 2 ** 20).toFixed(1)} MiB`)
    .join(', ')}`,
);
await bareRun({
  engine,
  spec,
  steps: 1,
  rate: 0,
  onStep: ({ ms, loss, tokens }) => console.log(`${tokens} tokens: ${(ms / 1000).toFixed(1)} s, loss ${loss.toFixed(4)}`),
});
engine.destroy();
opened.close();
