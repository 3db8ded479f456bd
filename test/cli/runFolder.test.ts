/** @file The adapter a run writes: layers of a continued adapter keep their own ranks and scales. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeResult } from '../../src/cli/runFolder.ts';
import { readPeft } from '../../src/formats/peft.ts';
import type { LoraOptions, Session } from '../../src/session.ts';

it('writes ranks and alphas by layer where they differ', async () => {
  const existing = new Map([
    ['model.layers.0.self_attn.q_proj', { rank: 4, scale: 2 }],
    ['model.layers.1.self_attn.q_proj', { rank: 2, scale: 8 }],
  ]);
  const lora: LoraOptions = { layers: ['*'], rank: 4, alpha: 8, rslora: false, dropout: 0, existing };
  const params = [...existing].flatMap(([layer, { rank }]) => [
    { name: `${layer}.weight`, shape: [6, 6], trainable: false },
    { name: `${layer}.lora_A.weight`, shape: [rank, 6], trainable: true },
    { name: `${layer}.lora_B.weight`, shape: [6, rank], trainable: true },
  ]);
  const engine = { program: { params }, readParam: async (i: number) => new Float32Array(params[i]!.shape.reduce((a, b) => a * b, 1)).fill(i) };
  const folder = mkdtempSync(join(tmpdir(), 'ebb-adapter-'));
  await writeResult(folder, { engine, traced: { params }, checkpoint: { config: { kind: 'llama' }, path: '/model' } } as unknown as Session, lora);
  expect(new Map([...readPeft(folder).layers].sort())).toEqual(existing);
  rmSync(folder, { recursive: true });
});
