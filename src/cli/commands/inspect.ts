/** @file `ebb inspect`: shows the IR at any stage, the difference of two stages, and what a pattern costs. */

import { type Command, Option } from 'commander';
import { EbbError, flagOf } from '../../errors.ts';
import { highlight, highlightDiff } from '../../inspect/colour.ts';
import { amount } from '../../inspect/report.ts';
import { diffSides } from '../../inspect/views.ts';
import { checkOutFile, inputsOf } from '../../run/outputs.ts';
import { type InspectOptions, inspect, inspectPage, STAGES } from '../../session/inspect.ts';
import { checkWay, isDump, wayOf } from '../../session/inspectWays.ts';
import { wantsColour } from '../../terminal/colour.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from '../../terminal/deviceFlags.ts';
import { count, list, listOption, positive, print, rate } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';
import { givenAttributes } from '../given.ts';
import { DEFAULT_RANK, dtypeOption, wantedAdapter } from '../options.ts';
import { writePage } from '../page.ts';

interface InspectFlags extends AdapterFlags, Omit<InspectOptions, 'device' | 'lora' | 'onProgress' | 'signal'> {
  readonly lora?: boolean;
  readonly rank?: number;
  readonly json?: boolean;
  readonly html?: string;
}

/** The options of the library that flags ask for. */
function optionsOf({ lora, rank, json: _json, html: _html, adapter, device, ...shown }: InspectFlags): InspectOptions {
  const named = adapterOf({ ...(device === undefined ? {} : { device }), ...(adapter === undefined ? {} : { adapter }) });
  return { ...shown, lora: wantedAdapter({ lora, rank, adapter: named.adapter }), device: named.device };
}

/** @throws EbbError where no model is given, or a dump in its place. `option` is the one that needs a model. */
function modelFor(model: string | undefined, option: string): string {
  if (model === undefined || isDump(model))
    throw new EbbError(`${option}: expected a model, which is a checkpoint folder, a GGUF file, a hub id or a definition (.ts)`);
  return model;
}

/** Writes the page of a model. Returns a line that says so. */
async function page(model: string, file: string, options: InspectOptions): Promise<string> {
  checkOutFile(file, '--html', inputsOf({ 'the model': model }));
  return `${file}: ${amount(writePage(file, await inspectPage(model, options)), 'B')}`;
}

/** `ebb inspect`. */
export const inspectCommand: AddOptions = (command) =>
  command
    .argument('[model]', 'checkpoint folder, GGUF file, hub id, model definition (.ts), or a .ebb dump')
    .addOption(new Option('--stage <stage>', 'stage to print').choices([...STAGES]))
    .addOption(listOption('--drop <units>', 'units without backward', list))
    .addOption(listOption('--remat <units>', 'units whose forward runs again in backward', list))
    .addOption(listOption('--skip <units>', 'units left out of forward too', list))
    .addOption(new Option('--drop-rate <p>', 'draw a pattern with this rate').argParser(rate).conflicts('drop'))
    .option('--seed <n>', 'seed of the pattern that --drop-rate draws; default 0', count)
    .option('--diff <sides...>', 'two stages, two patterns (none, or units between commas) or two .ebb dumps')
    .option('--function <name>', 'show only this function and its forms')
    .option('--unit <site>', 'show only the functions of one call, with the names of its weights and values')
    .option('--measure', 'run a step on the device and time every kernel')
    .option('--cost', 'show FLOPs and bytes behind each line')
    .option('--locs', 'show the source line behind each op')
    .option('--batch <n>', 'sequences; default 1, or as the definition says', positive)
    .option('--length <n>', 'tokens of a sequence; default 256, or as the definition says', positive)
    .option('--lora', 'add a low-rank adapter to all linear layers')
    .option('--rank <n>', `rank of the adapter; default ${DEFAULT_RANK}`, positive)
    .addOption(dtypeOption())
    .option('--html <file>', 'write a page to read and click through: units, graphs, kernels, memory')
    .option('--json', 'print JSON')
    .addOption(adapterOption('the layers and ranks of a PEFT adapter: its folder, or that of a run'))
    .addOption(deviceOption())
    .action(async (path: string | undefined, flags: InspectFlags, own: Command) => {
      const sides = flags.diff === undefined ? null : diffSides(flags.diff);
      checkWay(wayOf(path ?? null, flags, sides), givenAttributes(own), flagOf);
      const options = optionsOf(flags);
      const { html } = flags;
      if (html !== undefined) {
        const model = modelFor(path, '--html');
        return print(await withProgress((watch) => page(model, html, { ...options, ...watch })));
      }
      const model = flags.measure ? modelFor(path, '--measure') : (path ?? null);
      const { text, json, language, diff } = await withProgress((watch) => inspect(model, { ...options, ...watch }));
      if (flags.json) return print(JSON.stringify(json, null, 2));
      if (!wantsColour(process.env, process.stdout)) return print(text);
      print(diff ? highlightDiff(text, language) : highlight(text, language));
    });
