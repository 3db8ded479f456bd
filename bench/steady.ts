/**
 * Checks that a long run takes no more and more memory: 1,000 steps of two narrow layers, of which each step drops half of the units by a new
 * pattern.
 *
 *   npm run bench:steady [-- device]
 *
 * Every 100 steps it prints the JavaScript heap after a collection, and the bytes of all device buffers. It fails when device memory changes by
 * a byte, or when the heap ends more than 256 KiB above its size after 300 steps.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openDevice } from '../src/index.ts';
import type { Device } from '../src/runtime/index.ts';
import { bareEngine, bareRun } from './bare.ts';

const SPEC = { vocab: 64, dim: 32, heads: 2, layers: 2, ffn: 48, batch: 1, seq: 16 };
const STEPS = 1000;
const EVERY = 100;
/** Before this step the engine of JavaScript still optimises code. */
const WARM = 300;
const MOST_GROWTH = 256 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Wraps a device so that the bytes of its buffers that are not destroyed are counted. */
function counted(device: Device): { readonly device: Device; bytes(): number } {
  let bytes = 0;
  const allocate: Device['allocate'] = async (requests) => {
    const made = await device.allocate(requests);
    for (const buffer of made) {
      const destroy = buffer.destroy;
      bytes += buffer.bytes;
      buffer.destroy = () => {
        bytes -= buffer.bytes;
        destroy();
      };
    }
    return made;
  };
  return { device: { ...device, allocate }, bytes: () => bytes };
}

interface Sample {
  readonly step: number;
  readonly heap: number;
  readonly gpu: number;
}

const opened = await openDevice({ device: process.argv[2] ?? 'auto' });
const { device, bytes } = counted(opened.device);
console.log(`${device.profile.name}; ${process.version}`);
const engine = await bareEngine({ ...opened, device }, SPEC);
const samples: Sample[] = [];
await bareRun({
  engine,
  spec: SPEC,
  steps: STEPS,
  rate: 0.5,
  onStep: ({ step }) => {
    if ((step + 1) % EVERY !== 0) return;
    collect();
    const sample = { step: step + 1, heap: process.memoryUsage().heapUsed, gpu: bytes() };
    samples.push(sample);
    console.log(`step ${sample.step}: heap ${(sample.heap / 1024).toFixed(0)} KiB, device buffers ${sample.gpu} bytes`);
  },
});
engine.destroy();
opened.close();

const warm = samples.find((s) => s.step === WARM);
const last = samples.at(-1);
if (!warm || !last) throw new Error('internal: no samples');
const growth = last.heap - warm.heap;
const flat = samples.every((s) => s.gpu === last.gpu && s.gpu > 0);
console.log(
  `from step ${WARM}: heap ${growth >= 0 ? '+' : ''}${(growth / 1024).toFixed(0)} KiB (at most +${MOST_GROWTH / 1024}); device buffers ${flat ? 'flat' : 'NOT flat'}`,
);
if (growth > MOST_GROWTH || !flat) process.exitCode = 1;
