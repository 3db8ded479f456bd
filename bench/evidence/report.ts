/** @file Writes docs/results: a page and plots for each model that has results, a page about memory, and an index. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandDevice } from '../../src/node/device.ts';
import { describeMachine } from '../machine.ts';
import { drawSpecs } from '../vega.ts';
import { packageVersion } from '../versions.ts';
import { type MemoryResult, memoryPage, memoryPlots, planSubject } from './memoryPage.ts';
import { pageText } from './page.ts';
import { evidencePlots } from './plots.ts';
import { collect, type Results, type RunResult, readResults, writeResults } from './results.ts';
import { SWEEP } from './settings.ts';
import type { Subject } from './subjects.ts';
import { summarise } from './summary.ts';

const FOLDER = 'docs/results';

const isSweep = ({ setting }: RunResult): boolean => setting.startsWith(SWEEP);

/** Describes how a model is trained, by what its runs have in common. */
function aboutRuns(subject: Subject, runs: readonly RunResult[]): string[] {
  const { batch, length, schedule, warmupSteps, evalLimit, lora } = subject.config;
  const compared = runs.filter((r) => !isSweep(r));
  const seeds = [...new Set(compared.map((r) => r.seed))].sort();
  const steps = Math.max(...compared.map((r) => r.steps));
  const swept = runs.filter(isSweep).map((r) => `${r.setting.slice(SWEEP.length)}: ${r.evaluations.at(-1)?.heldOut.toFixed(3)}`);
  const trained = lora ? 'LoRA on all linear layers' : 'All parameters trained';
  return [
    `${subject.about} ${trained}; AdamW, lr ${subject.lr}, ${schedule} with ${warmupSteps} steps of warm-up, gradients clipped to 1; ${steps} steps of ${batch} × at most ${length} tokens, seed${seeds.length > 1 ? 's' : ''} ${seeds.join(', ')}; the same for every setting. A seed decides the order of the data and what is dropped. Evaluated without dropping on ${evalLimit} held-out examples and the first ${evalLimit} of training.`,
    ...(swept.length > 0
      ? [`The learning rate was chosen with nothing dropped at seed 0, by held-out loss (${swept.join('; ')}), and not again for any plan.`]
      : []),
    subject.small,
  ];
}

/** Writes the page of a model, if it has results. */
function writeModel(subject: Subject, out: string): void {
  const { name } = subject;
  const file = join(FOLDER, `${name}.json`);
  const results = collect(join(out, name)) ?? readResults(file);
  if (!results?.runs.some((r) => !isSweep(r))) return;
  writeResults(file, results);
  const compared: Results = { ...results, runs: results.runs.filter((r) => !isSweep(r)) };
  const images = drawSpecs(evidencePlots(name, summarise(compared)), FOLDER);
  const notesFile = join(FOLDER, `${name}.notes.md`);
  const notes = existsSync(notesFile) ? readFileSync(notesFile, 'utf8') : null;
  writeFileSync(join(FOLDER, `${name}.md`), pageText({ title: subject.title, about: aboutRuns(subject, results.runs), notes, results: compared, images }));
}

const INDEX: readonly (readonly [string, string])[] = [
  ['bundled', 'the bundled model, everything trained: every setting'],
  ['smollm2', 'SmolLM2-135M with LoRA on GSM8K'],
  ['bound', 'the time that dropping saves, against what its FLOPs allow'],
  ['memory', 'activation bytes and longest sequence against rate'],
];

/** Writes the pages of the models that have results, and the index. @throws Error with the message of the plotting library */
export function writeReport(subjects: readonly Subject[], out: string, { device }: CommandDevice): void {
  mkdirSync(FOLDER, { recursive: true });
  for (const subject of subjects) writeModel(subject, out);
  const lines = [
    '# Evidence',
    '',
    'What leaving out backwards does to learning, memory and time, measured by `npm run bench:evidence` ([bench/README.md](../../bench/README.md)). A result that goes against DropBP is printed like any other.',
    '',
    ...INDEX.flatMap(([name, text]) => (existsSync(join(FOLDER, `${name}.md`)) ? [`- [${name}.md](${name}.md): ${text}`] : [])),
    '',
    '```',
    ...describeMachine(),
    `${device.profile.name} through Dawn (webgpu ${packageVersion('webgpu', import.meta.url)}), Ebb’s schedules as they are without tuning`,
    '```',
    '',
  ];
  writeFileSync(join(FOLDER, 'README.md'), lines.join('\n'));
}

/** Plans every model whose checkpoint is here, and writes the page about memory. @throws Error with the message of the plotting library */
export async function writeMemory(subjects: readonly Subject[], device: CommandDevice): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const plans: MemoryResult[] = [];
  for (const subject of subjects) if (existsSync(subject.config.model)) plans.push(await planSubject(subject, device));
  drawSpecs(memoryPlots(plans), FOLDER);
  const about = [`Computed by \`ebb plan\`, for ${device.device.profile.name}: the sizes of the buffers that a run makes, to the byte.`];
  writeFileSync(join(FOLDER, 'memory.md'), memoryPage(plans, about));
}
