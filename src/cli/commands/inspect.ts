/** @file `ebb inspect`: the IR at any stage, what lies between two, what a pattern costs. */

import { Command, Option } from 'commander';
import { deviceTraits } from '../../codegen/kernel/device.ts';
import { EbbError } from '../../errors.ts';
import { highlight, highlightDiff, wantsColour } from '../../inspect/colour.ts';
import { amount } from '../../inspect/report.ts';
import type { View } from '../../inspect/views.ts';
import { withDevice } from '../../node/device.ts';
import { checkOutFile, inputsOf } from '../../run/outputs.ts';
import type { Pattern } from '../../runtime/link/forms.ts';
import type { LoraOptions } from '../../session.ts';
import { type DeviceFlags, deviceOf, deviceOption, oldDeviceOption } from '../../terminal/deviceFlags.ts';
import { count, list, listOption, positive, print, rate } from '../../terminal/options.ts';
import { diffDumps, diffSides, type InspectOptions, inspectDump, inspectModel, patternFrom, STAGES, writePage } from '../inspect.ts';
import { dtypeOption } from '../options.ts';
import { measureModel } from '../profile.ts';

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

async function view(model: string | undefined, flags: InspectFlags): Promise<View> {
  if (flags.diff) {
    const [a, b] = diffSides(flags.diff);
    if (a.kind === 'dump' && b.kind === 'dump') return diffDumps(a.name, b.name, flags);
  }
  if (model === undefined) throw new EbbError('no model to inspect; expected a checkpoint folder, a GGUF file or a .ebb dump');
  if (model.endsWith('.ebb')) return inspectDump(model, flags);
  return withModel(flags, (options) => inspectModel(model, options));
}

function measured(model: string | undefined, flags: InspectFlags): Promise<View> {
  if (model === undefined || model.endsWith('.ebb')) throw new EbbError('--measure: expected a model to run, a checkpoint folder, a GGUF file or a definition');
  if (flags.dtype !== undefined)
    throw new EbbError('--dtype: --measure runs the model with its weights, whose headers say how they are stored; leave --dtype out');
  const { batch = null, length = null } = flags;
  const pattern = (units: readonly string[]): Pattern => patternFrom(flags, units).pattern;
  return withDevice(deviceOf(flags), (device) => measureModel(model, device, { batch, length, lora: loraOf(flags), pattern }));
}

const DEFAULT_RANK = 8;

const loraOf = ({ lora, rank }: InspectFlags): LoraOptions | null =>
  lora || rank !== undefined ? { layers: ['*'], rank: rank ?? DEFAULT_RANK, alpha: 2 * (rank ?? DEFAULT_RANK), rslora: false, dropout: 0 } : null;

async function page(model: string | undefined, file: string, flags: InspectFlags): Promise<string> {
  if (model === undefined || model.endsWith('.ebb')) throw new EbbError('--html: expected a model to compile, a checkpoint folder or a GGUF file');
  checkOutFile(file, '--html', inputsOf({ 'the model': model }));
  const bytes = await withModel(flags, (options) => writePage(model, file, options));
  return `${file}: ${amount(bytes, 'B')}`;
}

function withModel<T>(flags: InspectFlags, work: (options: InspectOptions) => T | Promise<T>): Promise<T> {
  return withDevice(deviceOf(flags), async ({ device }) =>
    work({ ...flags, lora: loraOf(flags), traits: deviceTraits(device), maxBuffers: device.profile.limits.maxStorageBuffersPerShaderStage }),
  );
}

/** `ebb inspect`. */
export const inspectCommand = (): Command =>
  new Command('inspect')
    .description('the IR of a model at any stage, what lies between two stages or patterns, what a drop pattern costs; a dump.ebb is parsed and printed')
    .argument('[model]', 'checkpoint folder, GGUF file, hub id, model definition (.ts), or a .ebb dump')
    .addOption(new Option('--stage <stage>', 'stage to print').choices([...STAGES]))
    .addOption(listOption('--drop <units>', 'units without backward', list))
    .addOption(listOption('--remat <units>', 'units whose forward runs again in backward', list))
    .addOption(listOption('--skip <units>', 'units left out of forward too', list))
    .addOption(new Option('--drop-rate <p>', 'draw a pattern with this rate').argParser(rate).conflicts('drop'))
    .option('--seed <n>', 'seed of the pattern', count, 0)
    .option('--diff <sides...>', 'two stages, two patterns (none, or units between commas) or two .ebb dumps')
    .option('--function <name>', 'this function and its forms alone')
    .option('--unit <site>', 'the functions of one call, with its weights and values by name')
    .option('--measure', 'run a step on the device and time every kernel')
    .option('--cost', 'FLOPs and bytes behind each line')
    .option('--locs', 'source lines behind each op')
    .option('--batch <n>', 'sequences; default 1, or as the definition says', positive)
    .option('--length <n>', 'tokens of a sequence; default 256, or as the definition says', positive)
    .option('--lora', 'with a low-rank adapter on all linear layers')
    .option('--rank <n>', `rank of the adapter; default ${DEFAULT_RANK}`, positive)
    .addOption(dtypeOption())
    .option('--html <file>', 'write a page to read and click through: units, graphs, kernels, memory')
    .option('--json', 'print JSON')
    .addOption(deviceOption())
    .addOption(oldDeviceOption())
    .action(async (model: string | undefined, flags: InspectFlags) => {
      if (flags.html !== undefined) return print(await page(model, flags.html, flags));
      const { text, json, language, diff } = await (flags.measure ? measured(model, flags) : view(model, flags));
      if (flags.json) return print(JSON.stringify(json, null, 2));
      if (!wantsColour(process.env, process.stdout)) return print(text);
      print(diff ? highlightDiff(text, language) : highlight(text, language));
    });
