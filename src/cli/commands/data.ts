/** @file `ebb data`: shows what data becomes. */

import { existsSync } from 'node:fs';
import { EbbError } from '../../errors.ts';
import { namedRunFile } from '../../run/runFile.ts';
import { type ReadDataOptions, readData } from '../../session/readData.ts';
import { wantsColour } from '../../terminal/colour.ts';
import { positive, print, say } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';
import { fieldNames } from '../options.ts';
import { exampleText, sequenceLine, summaryLine, summaryText } from '../text/data.ts';

interface Flags extends Omit<ReadDataOptions, 'model'> {
  readonly model?: string;
  readonly show?: number;
  readonly json?: boolean;
}

/** What is read, by a run file or by flags. */
interface Asked {
  readonly data: string;
  readonly options: ReadDataOptions;
}

/** @throws EbbError where no model is named */
function askedOf(given: string, { show: _show, json: _json, ...flags }: Flags): Asked {
  const isRunFile = /\.ya?ml$/i.test(given);
  const run = isRunFile ? namedRunFile(given, say) : {};
  const data = isRunFile ? run.data : given;
  if (run.evalData !== undefined) say(`${given}: its data is shown, and not its evalData, ${run.evalData}: ebb data ${run.evalData} shows that`);
  if (run.pack) say(`${given}: sequences are shown as they are before they are packed`);
  const model = flags.model ?? run.model;
  if (data === undefined) throw new EbbError(`${given}: names no data`, 'config');
  if (model === undefined)
    throw new EbbError(
      `${isRunFile ? `${given}: names no model` : 'no model is named'}; give --model a checkpoint, or a folder that holds a tokenizer`,
      'config',
    );
  // a run cuts its sequences, and data alone is shown whole
  const ofRun = isRunFile ? { length: run.length ?? 256, fields: run.fields, chatTemplate: run.chatTemplate } : {};
  const kept = Object.fromEntries(Object.entries({ ...ofRun, ...flags }).filter(([, value]) => value !== undefined));
  return { data, options: { ...kept, model } };
}

/** `ebb data`. */
export const dataCommand: AddOptions = (command) =>
  command
    .argument('<data>', 'a run file (YAML); or data: a file, a folder of shards, a pattern, a hub id, or - for standard input')
    .option('--model <path>', 'checkpoint folder, GGUF file, hub id, or a folder that holds a tokenizer alone')
    .option('--length <n>', 'most tokens of a sequence; default as the run file says, or whole sequences', positive)
    .option('--limit <n>', 'most records that are read', positive)
    .option('--fields <names>', "names of a record's fields: text=…, or prompt=…,completion=…", fieldNames)
    .option('--chat-template <file>', "chat template: a Jinja file, or the name of one of the model's")
    .option('--show <n>', 'print so many examples, what is learnt of them in colour, or in brackets where there is none', positive)
    .option('--json', 'print a line of JSON for each sequence, then a summary')
    .option('-o, --out <file>', 'write ready batches (.safetensors), for generated trainers and pages')
    .option('--batch <n>', 'sequences of a ready batch; default 1', positive)
    .action(async (given: string, flags: Flags) => {
      if (flags.batch !== undefined && flags.out === undefined)
        throw new EbbError('--batch says how many sequences a batch of --out has; give --out, or leave it out');
      if (flags.show !== undefined && flags.json) throw new EbbError('--show and --json both say what is printed; give one of them');
      const { data, options } = askedOf(given, flags);
      const reading = await withProgress((watch) =>
        readData(data, { ...options, signal: watch.signal, onProgress: (progress) => progress.kind !== 'note' && watch.onProgress?.(progress) }),
      );
      if (flags.json) {
        for (const sequence of reading) print(sequenceLine(sequence));
        print(summaryLine(reading.report));
      } else {
        const isColoured = wantsColour(process.env, process.stdout);
        for (let i = 0; i < Math.min(flags.show ?? 0, reading.report.used); i++)
          print(exampleText(reading.at(i), await reading.partsOf(reading.at(i)), isColoured));
        print(summaryText(reading.report));
      }
      if (flags.out !== undefined && existsSync(flags.out)) say(`written: ${flags.out}`);
      if (reading.report.used === 0) process.exitCode = 1;
    });
