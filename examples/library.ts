/**
 * Fine-tunes a small model on arithmetic questions, and lets it write one. Half of the residual branches get no backward in a step.
 *
 *   npx tsx examples/library.ts
 */

import { fileURLToPath } from 'node:url';
import { finetune, loadModel } from 'ebb';

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const model = pathOf('tiny-llama/model');

const run = await finetune({
  model,
  data: pathOf('demo/questions.jsonl'),
  evalData: pathOf('demo/held-out.jsonl'),
  out: 'runs/library',
  lora: { rank: 16, alpha: 32 },
  drop: 0.5,
  optimizer: { lr: 3e-3 },
  steps: 30,
  batch: 4,
  length: 96,
  onStep: ({ step, loss }) => console.log(`step ${step}: loss ${loss.toFixed(3)}`),
});
console.log(`held-out loss ${run.heldOut?.before.toFixed(3)} -> ${run.heldOut?.after.toFixed(3)}`);

const tuned = await loadModel(model, { adapter: run.out });
for await (const piece of tuned.generate('Tom has', { maxNewTokens: 60 })) process.stdout.write(piece);
tuned.close();
