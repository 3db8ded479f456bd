/** @file `ebb compile`: writes a trainer that needs no compiler. */

import { Option } from 'commander';
import type { MatmulPrecision } from '../../codegen/kernel/matmul/work.ts';
import { BUILT_IN, PORTABLE } from '../../compile/devices/builtIn.ts';
import { EbbError } from '../../errors.ts';
import type { StoredType } from '../../formats/storedType.ts';
import { withDevice } from '../../node/device.ts';
import { loadAdapter } from '../../run/adapter.ts';
import { type CompileFlags, type CompileReport, type CompileSubject, compileTo } from '../../session/compile.ts';
import { compileDevice } from '../../session/compileDevice.ts';
import { loraOf } from '../../session/session.ts';
import { nameOf } from '../../session/source.ts';
import { knownSchedules } from '../../session/tune.ts';
import { type DeviceFlags, deviceOf, oldDeviceOption } from '../../terminal/deviceFlags.ts';
import { dropoutRate, list, listOption, positive, positiveNumber, print, rate } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../commands.ts';
import { dtypeOption } from '../options.ts';
import { precisionOption, tellPrecision } from './precision.ts';

interface Flags extends DeviceFlags {
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
  readonly target?: 'device' | 'portable';
  readonly matmulPrecision: MatmulPrecision;
  readonly dtype?: StoredType;
  readonly standalone?: boolean;
  readonly json?: boolean;
}

function loraFlags(flags: Flags): CompileFlags['lora'] {
  const { lora, loraFrom, loraLayers, rank, alpha, rslora, loraDropout } = flags;
  if (loraFrom !== undefined) return loraOf(loadAdapter(loraFrom, loraDropout), '--lora-from');
  if (!lora && [loraLayers, rank, alpha, rslora, loraDropout].every((f) => f === undefined)) return null;
  return { layers: loraLayers ?? ['*'], rank: rank ?? 8, alpha: alpha ?? 16, rslora: rslora ?? false, dropout: loraDropout ?? 0 };
}

function reportText({ out, device, units, functions, kernels, compileMs, writeMs }: CompileReport): string {
  const made = `compiled in ${compileMs.toFixed(0)} ms, written in ${writeMs.toFixed(0)} ms`;
  return `${out}: ${units} units, ${functions} functions, ${kernels} kernels for ${device}; ${made}`;
}

/** The option `--device`, which takes profiles too. */
const compileDeviceOption = (): Option =>
  new Option(
    '--device <name>',
    `device to compile for: auto, gpu or part of the name of a device of this machine; or one that is not here: ${Object.keys(BUILT_IN).join(', ')} or a profile (.json, as ebb doctor --profile prints it)`,
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
    .addOption(
      // A PEFT adapter has its own ranks, scales and layers.
      new Option('--lora-from <dir>', 'the layers, ranks and scales of a PEFT adapter').conflicts(['rank', 'alpha', 'rslora', 'loraLayers']),
    )
    .option('--drop-rate <p>', "the trainer's drop rate where a run names none", rate)
    .addOption(new Option('--target <kind>', 'kernels for the device that --device names, or for any WebGPU device').choices(['device', 'portable']))
    .addOption(precisionOption())
    .addOption(dtypeOption())
    .option(
      '--standalone',
      'bundle the runtime, so that the folder needs only the package webgpu, and add a page; kernels are portable unless --target device or --device is given',
    )
    .option('--json', 'print JSON')
    .addOption(compileDeviceOption())
    .addOption(oldDeviceOption())
    .action(async (model: string, flags: Flags) => {
      const { matmulPrecision, standalone = false, target } = flags;
      const device = compileDevice({ device: deviceOf(flags), mayBeProfile: flags.adapter === undefined, target, standalone });
      if (matmulPrecision === 'f16' && 'profile' in device && device.profile === PORTABLE)
        throw new EbbError(
          '--matmul-precision f16 needs the matrices of a device, which portable kernels do not use; add --target device, or leave --matmul-precision out',
        );
      const options: CompileFlags = {
        out: flags.out ?? `${nameOf(model)}-trainer`,
        batch: flags.batch ?? null,
        length: flags.length ?? null,
        lora: loraFlags(flags),
        dropRate: flags.dropRate ?? null,
        dtype: flags.dtype,
        matmulPrecision,
        standalone,
      };
      const compiled = (subject: CompileSubject): Promise<CompileReport> => {
        tellPrecision(matmulPrecision, subject.profile);
        return withProgress((watch) => compileTo(model, options, subject, watch));
      };
      const report =
        'profile' in device
          ? await compiled({ profile: device.profile, schedules: null })
          : await withDevice(device.open, (opened) => compiled({ profile: opened.device.profile, schedules: knownSchedules(opened) }));
      print(flags.json ? JSON.stringify(report) : reportText(report));
    });
