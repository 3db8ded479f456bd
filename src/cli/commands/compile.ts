/** @file `ebb compile`: writes a trainer that needs no compiler. */

import { Option } from 'commander';
import type { MatmulPrecision } from '../../codegen/kernel/matmul/work.ts';
import { targetNamed } from '../../codegen/targets/targets.ts';
import { ANY_DEVICE, BUILT_IN } from '../../compile/devices/builtIn.ts';
import { EbbError } from '../../errors.ts';
import type { StoredType } from '../../formats/storedType.ts';
import { type CompileReport, compile } from '../../session/library.ts';
import { type AdapterFlags, adapterOf, adapterOption } from '../../terminal/deviceFlags.ts';
import { dropoutRate, list, listOption, positive, positiveNumber, print, rate, say } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { RunInput } from '../../train/config.ts';
import type { AddOptions } from '../addOptions.ts';
import { dtypeOption } from '../options.ts';
import { precisionOption } from './precision.ts';

interface Flags extends AdapterFlags {
  readonly out?: string;
  readonly batch?: number;
  readonly length?: number;
  readonly lora?: boolean;
  readonly loraFrom?: string;
  readonly loraLayers?: string[];
  readonly rank?: number;
  readonly alpha?: number;
  readonly rslora?: boolean;
  readonly loraDropout?: number;
  readonly dropRate?: number;
  readonly target?: string;
  readonly matmulPrecision: MatmulPrecision;
  readonly dtype?: StoredType;
  readonly pack?: boolean;
  readonly standalone?: boolean;
  readonly json?: boolean;
}

/** The PEFT adapter that the flags name. @throws EbbError where two flags name one */
function adapterFlag(adapter: string | undefined, loraFrom: string | undefined): string | undefined {
  if (loraFrom === undefined) return adapter;
  if (adapter !== undefined)
    throw new EbbError(`--lora-from ${loraFrom}: is what --adapter was called, and --adapter ${adapter} is given too; give --adapter alone`);
  say('--lora-from is called --adapter now; the old flag is still taken');
  return loraFrom;
}

/** @throws EbbError for settings beside an adapter, which has its own */
function loraFlags(flags: Flags, adapter: string | undefined): NonNullable<RunInput['lora']> {
  const { lora, loraLayers, rank, alpha, rslora, loraDropout: dropout } = flags;
  if (adapter !== undefined) {
    const [own] = Object.entries({ '--rank': rank, '--alpha': alpha, '--rslora': rslora, '--lora-layers': loraLayers }).filter(
      ([, value]) => value !== undefined,
    );
    if (own) throw new EbbError(`${own[0]}: the adapter of --adapter (${adapter}) has its own layers, ranks and scales; leave ${own[0]} out`);
    return { from: adapter, dropout };
  }
  if (!lora && [loraLayers, rank, alpha, rslora, dropout].every((f) => f === undefined)) return false;
  return { layers: loraLayers, rank, alpha, rslora, dropout };
}

/** What `--target` said of the device in version 0.1.0, as the name of a device now. */
const OLD_TARGETS: Readonly<Record<string, string>> = { device: 'auto', portable: ANY_DEVICE };

/** The device to compile for, by `--device` and by what `--target` said in version 0.1.0. @throws EbbError where both name one, and for a language that is none */
function deviceFlag(device: string | undefined, target: string | undefined): string | undefined {
  if (target === undefined) return device;
  const old = Object.hasOwn(OLD_TARGETS, target) ? OLD_TARGETS[target] : undefined;
  if (old === undefined) {
    targetNamed(target);
    return device;
  }
  if (device !== undefined && target === 'device') return device;
  if (device !== undefined) throw new EbbError(`--device ${device}: --target ${target} compiles for any device; leave one of the two out`);
  say(`--target ${target} is called --device ${old} now; the old spelling is still taken`);
  return old;
}

function reportText({ out, device, units, functions, kernels, compileMs, writeMs }: CompileReport): string {
  const made = `compiled in ${compileMs.toFixed(0)} ms, written in ${writeMs.toFixed(0)} ms`;
  return `${out}: ${units} units, ${functions} functions, ${kernels} kernels for ${device}; ${made}`;
}

/** The option `--device`, which takes profiles too. */
const compileDeviceOption = (): Option =>
  new Option(
    '--device <name>',
    `device to compile for: auto, gpu or part of the name of a device of this machine; or one that is not here: ${Object.keys(BUILT_IN).join(', ')}, ${ANY_DEVICE} (any WebGPU device) or a profile (.json, as ebb doctor --profile prints it)`,
  );

/** `ebb compile`. */
export const compileCommand: AddOptions = (command) =>
  command
    .argument('<model>', 'checkpoint folder, GGUF file, hub id, or model definition (.ts)')
    .option('-o, --out <dir>', 'folder to write; default NAME-trainer')
    .option('--batch <n>', 'most sequences of a micro-batch; default 2, or as the definition says', positive)
    .option('--length <n>', 'most tokens of a sequence; default 256, or as the definition says', positive)
    .option('--lora', 'train a low-rank adapter instead of all weights')
    .option('--rank <n>', 'rank of the adapter', positive)
    .option('--alpha <x>', 'alpha of the adapter', positiveNumber)
    .option('--rslora', 'scale the adapter by alpha/√rank instead of alpha/rank')
    .addOption(listOption('--lora-layers <globs>', 'layers of the adapter, between commas', list))
    .option('--lora-dropout <p>', 'dropout of what goes into the adapter', dropoutRate)
    .addOption(adapterOption('the layers, ranks and scales of a PEFT adapter: its folder, or that of a run'))
    .addOption(new Option('--lora-from <dir>', 'what --adapter was called').hideHelp())
    .option('--drop-rate <p>', "the trainer's drop rate where a run names none", rate)
    .option('--pack', 'give a model that learns a row for each position (GPT-2) the positions of packed sequences as an input')
    .option('--target <language>', 'language of the kernels: wgsl')
    .addOption(precisionOption())
    .addOption(dtypeOption())
    .option(
      '--standalone',
      'bundle the runtime, so that the folder needs only the package webgpu, and add a page; kernels are those of --device portable unless another is named',
    )
    .option('--json', 'print JSON')
    .addOption(compileDeviceOption())
    .action(async (model: string, flags: Flags) => {
      const { out, batch, length, dropRate, dtype, matmulPrecision, pack, standalone, target, json } = flags;
      const named = adapterOf(flags);
      const lora = loraFlags(flags, adapterFlag(named.adapter, flags.loraFrom));
      const device = deviceFlag(named.device, target);
      const options = { out, device, batch, length, lora, dropRate, dtype, matmulPrecision, pack, standalone };
      const report = await withProgress((watch) => compile(model, { ...options, ...watch }));
      print(json ? JSON.stringify(report) : reportText(report));
    });
