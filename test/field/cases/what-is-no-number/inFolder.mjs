// Says what a run's folder holds: checkpoints, results, steps, and how many of the newest checkpoint's numbers are none.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const run = process.argv[2];
const checkpoints = readdirSync(`${run}/checkpoints`).sort();
const results = ['result', 'best'].filter((name) => existsSync(`${run}/${name}`));
const steps = readFileSync(`${run}/metrics.jsonl`, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line).step);
const bytes = readFileSync(`${run}/checkpoints/${checkpoints.at(-1)}/training.safetensors`);
const data = bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
let broken = 0;
for (let at = 0; at < data.length; at += 4) if (!Number.isFinite(data.readFloatLE(at))) broken++;
console.log(`checkpoints: ${checkpoints.join(', ')}; results: ${results.join(', ') || 'none'}; steps in metrics: ${steps.join(', ')}; not finite: ${broken}`);
