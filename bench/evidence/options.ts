/** @file The flags of the evidence. */

import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BUNDLED, type Subject, smollm2 } from './subjects.ts';

export interface EvidenceOptions {
  readonly subject: Subject;
  /** All models. */
  readonly subjects: readonly Subject[];
  readonly what: 'runs' | 'sweep' | 'times' | 'memory' | 'report';
  /** Number of steps of each setting that are timed. */
  readonly rounds: number;
  /** The folder of the runs. */
  readonly out: string;
  readonly device: string;
}

export const USAGE = `npm run bench:evidence -- [flags]
  --model bundled|smollm2   model that is trained (bundled)
  --seeds N                 seeds 1 to N (3; smollm2: 1)
  --steps N                 steps of a setting (300; smollm2: 100)
  --only GLOB               settings by name (all; smollm2: a few)
  --out FOLDER              folder of the runs, each of which has a folder in it; finished runs are left, others go on (runs/evidence)
  --device NAME             device, as ebb train takes it
  --sweep                   instead runs several learning rates with nothing dropped, at seed 0
  --times, --rounds N       instead times N steps (20) of each setting of --only in turns; their runs of seed 1 have to be there
  --memory                  instead plans both models and writes docs/results/memory.md; trains nothing
  --report                  instead writes the other pages of docs/results from the runs of both models
  --checkpoint, --data, --eval-data PATH
                            SmolLM2's model (~/.cache/ebb-models/SmolLM2-135M-Instruct.Q4_1.gguf) and GSM8K's records with
                            question and answer (../shared/data/gsm8k-train.jsonl, gsm8k-test.jsonl)`;

/** Parses the flags. @throws Error that says which flag is wrong, and which values it takes */
export function parseOptions(argv: readonly string[]): EvidenceOptions | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      model: { type: 'string', default: 'bundled' },
      seeds: { type: 'string' },
      steps: { type: 'string' },
      only: { type: 'string' },
      out: { type: 'string', default: 'runs/evidence' },
      device: { type: 'string', default: 'auto' },
      sweep: { type: 'boolean', default: false },
      times: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '20' },
      memory: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      checkpoint: { type: 'string', default: join(homedir(), '.cache/ebb-models/SmolLM2-135M-Instruct.Q4_1.gguf') },
      data: { type: 'string', default: '../shared/data/gsm8k-train.jsonl' },
      'eval-data': { type: 'string', default: '../shared/data/gsm8k-test.jsonl' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.model !== 'bundled' && values.model !== 'smollm2') throw new Error(`--model: unknown ${values.model}; there are bundled, smollm2`);
  const larger = smollm2(values.checkpoint, values.data, values['eval-data']);
  const subject = values.model === 'bundled' ? BUNDLED : larger;
  const { seeds = String(subject.seeds), steps = String(subject.steps), only = subject.only, out, device } = values;
  return {
    subject: { ...subject, seeds: count('--seeds', seeds), steps: count('--steps', steps), only },
    subjects: [BUNDLED, larger],
    what: (['report', 'memory', 'times', 'sweep'] as const).find((w) => values[w]) ?? 'runs',
    rounds: count('--rounds', values.rounds),
    out,
    device,
  };
}

function count(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${flag}: expected a whole number from 1, found ${text}`);
  return value;
}
