/** @file `ebb inspect`: shows the IR at any stage, the difference of two stages, and what a pattern costs. */

import { type Command, Option } from 'commander';
import { deviceTraits } from '../../codegen/kernel/device.ts';
import { EbbError } from '../../errors.ts';
import { highlight, highlightDiff, wantsColour } from '../../inspect/colour.ts';
import { amount } from '../../inspect/report.ts';
import { type DiffSides, diffSides, type View } from '../../inspect/views.ts';
import { withDevice } from '../../node/device.ts';
import { checkOutFile, inputsOf } from '../../run/outputs.ts';
import type { Pattern } from '../../runtime/link/forms.ts';
import { diffDumps, type InspectOptions, inspectDump, inspectModel, patternFrom, STAGES, writePage } from '../../session/inspect.ts';
import { measureModel } from '../../session/profile.ts';
import { type DeviceFlags, deviceOf, deviceOption, oldDeviceOption } from '../../terminal/deviceFlags.ts';
import { count, list, listOption, positive, print, rate } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../commands.ts';
import { givenOptions } from '../given.ts';
import { checkOptions, isDump, wayOf } from '../inspectWays.ts';
import { DEFAULT_RANK, dtypeOption, freshAdapter } from '../options.ts';

interface InspectFlags
  extends DeviceFlags,
    Pick<
      InspectOptions,
      'stage' | 'drop' | 'remat' | 'skip' | 'dropRate' | 'seed' | 'diff' | 'function' | 'unit' | 'cost' | 'locs' | 'batch' | 'length' | 'dtype'
    > {
  readonly lora?: boolean;
  readonly rank?: number;
  readonly json?: boolean;
  readonly measure?: boolean;
  readonly html?: string;
}

/** @throws EbbError where no model is given, or a dump in its place. `option` is the one that needs a model. */
function modelFor(model: string | undefined, option: string): string {
  if (model === undefined || isDump(model))
    throw new EbbError(`${option}: expected a model, which is a checkpoint folder, a GGUF file, a hub id or a definition (.ts)`);
  return model;
}

function view(model: string | undefined, flags: InspectFlags, sides: DiffSides | null): View | Promise<View> {
  if (sides?.kind === 'dumps') {
    if (model !== undefined) throw new EbbError(`${model}: --diff compares two dumps and reads no model; leave ${model} out`);
    return diffDumps(sides.sides, flags);
  }
  if (model === undefined) throw new EbbError('no model to inspect; expected a checkpoint folder, a GGUF file, a hub id, a definition (.ts) or a .ebb dump');
  return isDump(model) ? inspectDump(model, flags) : withModel(flags, (options) => inspectModel(model, options));
}

function measured(path: string | undefined, flags: InspectFlags): Promise<View> {
  const model = modelFor(path, '--measure');
  if (flags.dtype !== undefined)
    throw new EbbError('--dtype: --measure runs the model with its weights, whose headers say how they are stored; leave --dtype out');
  const { batch = null, length = null } = flags;
  const pattern = (units: readonly string[]): Pattern => patternFrom(flags, units).pattern;
  return withDevice(deviceOf(flags), (device) => measureModel(model, device, { batch, length, lora: freshAdapter(flags), pattern }));
}

async function page(path: string | undefined, file: string, flags: InspectFlags): Promise<string> {
  const model = modelFor(path, '--html');
  checkOutFile(file, '--html', inputsOf({ 'the model': model }));
  const bytes = await withModel(flags, (options) => writePage(model, file, options));
  return `${file}: ${amount(bytes, 'B')}`;
}

function withModel<T>(flags: InspectFlags, work: (options: InspectOptions) => T | Promise<T>): Promise<T> {
  return withDevice(deviceOf(flags), ({ device }) =>
    withProgress(async (watch) =>
      work({ ...flags, ...watch, lora: freshAdapter(flags), traits: deviceTraits(device), maxBuffers: device.profile.limits.maxStorageBuffersPerShaderStage }),
    ),
  );
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
    .option('--seed <n>', 'seed of the pattern that --drop-rate draws', count, 0)
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
    .addOption(deviceOption())
    .addOption(oldDeviceOption())
    .action(async (model: string | undefined, flags: InspectFlags, own: Command) => {
      const sides = flags.diff === undefined ? null : diffSides(flags.diff);
      checkOptions(wayOf(model, flags, sides), givenOptions(own));
      if (flags.html !== undefined) return print(await page(model, flags.html, flags));
      const { text, json, language, diff } = await (flags.measure ? measured(model, flags) : view(model, flags, sides));
      if (flags.json) return print(JSON.stringify(json, null, 2));
      if (!wantsColour(process.env, process.stdout)) return print(text);
      print(diff ? highlightDiff(text, language) : highlight(text, language));
    });
