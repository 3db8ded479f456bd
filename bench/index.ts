/**
 * Compares Ebb with other libraries in one run, in which they take turns: matmuls, training steps and DropBP. bench/README.md says how to
 * read the result.
 *
 *   npm run bench [-- --quick]
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Contest, openContest } from './contest.ts';
import { ENTRIES, type Entry } from './entries.ts';
import { describeMachine, ensureData, ensurePeers, missing } from './machine.ts';
import { type Options, parseOptions, USAGE } from './options.ts';
import { drawPlots } from './plots.ts';
import { page, type Results } from './report.ts';
import { dropping, dropTable, RANK, summarise } from './sections/dropbp.ts';
import { matmuls, matmulTable } from './sections/matmul.ts';
import { steps, stepTable } from './sections/step.ts';

const log = (text: string): void => console.log(text);

/** What is measured, by whom, and where results go. */
interface Measuring {
  readonly options: Options;
  readonly entries: readonly Entry[];
  readonly results: Results;
  /** Called whenever a table is complete. */
  readonly save: () => void;
}

/** Opens a contest with new processes, in which nothing is compiled yet. @param where names the table, for the message when a contestant fails */
async function contest<T>(entries: readonly Entry[], where: string, { options, results }: Measuring, work: (contest: Contest) => Promise<T[]>): Promise<T[]> {
  const opened = await openContest(entries, options.device, (name, why) => {
    results.failed.push([`${name}, ${where}`, why]);
    console.error(`${name} is left out: ${why}`);
  });
  for (const { entry, about } of opened.clients) results.about[entry.name] = about;
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

async function measure(measuring: Measuring): Promise<void> {
  const { options, entries, results, save } = measuring;
  const { device, rounds, limit, patterns, models, sections } = options;
  const done = (text: string): void => {
    log(`\n${text}\n`);
    save();
  };
  if (sections.includes('matmul')) {
    results.matmul.push(...(await contest(entries, 'matmul', measuring, (c) => matmuls(c, rounds, limit, log))));
    done(matmulTable(results.matmul));
  }
  for (const model of sections.includes('step') ? models : []) {
    results.step.push(...(await contest(entries, `step of ${model}`, measuring, (c) => steps(c, model, rounds, limit, device, log))));
    done(stepTable(results.step));
  }
  const droppers = entries.filter((e) => e.drops);
  for (const model of sections.includes('dropbp') ? models : [])
    for (const lora of [0, RANK]) {
      results.dropbp.push(...(await contest(droppers, `DropBP of ${model}`, measuring, (c) => dropping(c, model, lora, patterns, limit, log))));
      done(dropTable(summarise(results.dropbp)));
    }
}

/** Writes the page and its plots. */
function write(out: string, results: Results): void {
  const folder = basename(out).replace(/\.md$/, '');
  mkdirSync(dirname(out), { recursive: true });
  const plots = drawPlots(results, join(dirname(out), folder));
  writeFileSync(out, page(results, plots, folder));
  log(`wrote ${out}`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') return log(USAGE);
  ensurePeers();
  const { out, keep, from, rounds, patterns, tuning } = options;
  if (from !== null) return write(out ?? `${from.replace(/\.json$/, '')}.md`, JSON.parse(readFileSync(from, 'utf8')) as Results);
  if (tuning === 0) process.env['EBB_TUNE'] = 'off';
  else process.env['EBB_BENCH_TUNING'] = String(tuning);
  const results: Results = {
    machine: describeMachine(),
    options: { rounds, patterns },
    matmul: [],
    step: [],
    dropbp: [],
    failed: [],
    absent: [],
    about: {},
  };
  const entries = ENTRIES.filter((entry) => options.only.includes(entry.name)).filter((entry) => {
    const why = missing(entry);
    if (why === null) return true;
    results.absent.push([entry.name, why]);
    console.error(`${entry.name} does not take part: ${why}`);
    return false;
  });
  if (options.sections.some((section) => section !== 'matmul')) ensureData(entries, options.models);
  const save = (): void => {
    if (keep !== null) writeFileSync(keep, JSON.stringify(results));
    if (out !== null) write(out, results);
  };
  await measure({ options, entries, results, save });
  if (results.failed.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
