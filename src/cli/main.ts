#!/usr/bin/env node
/** @file The command line: thin commands over the library. Results on stdout, everything else on stderr. */

import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { EbbError } from '../errors.ts';
import type { LoraOptions } from '../session.ts';
import { parseConfig, type RunInput } from '../train/config.ts';
import { checkPath } from './check.ts';
import { DEMO_STEPS, runDemo } from './demo.ts';
import { DEVICE_NAMES, withDevice } from './device.ts';
import { doctor, doctorText } from './doctor.ts';
import { runEval } from './evaluate.ts';
import { forward, grad } from './forward.ts';
import { runGenerate } from './generate.ts';
import { inspectDump, inspectModel, STAGES, type Stage } from './inspect.ts';
import { stepPrinter } from './progress.ts';
import { runTraining } from './train.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
// a reader that had enough (`ebb inspect … | head`) is no error
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
const print = (text: string): void => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}
function count(text: string): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number, 0 or more.');
  return value;
}
const list = (text: string): string[] =>
  text
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '');
const deviceOption = (): Option => new Option('--adapter <name>', 'WebGPU adapter: auto, gpu, lavapipe, swiftshader, or part of its name').default('auto');

interface Adapters {
  /** PEFT adapter folder. */
  readonly adapter?: string;
  /** WebGPU adapter. */
  readonly device: string;
}
/** Commands that take a PEFT adapter take both kinds under one flag: a WebGPU adapter's name says which it is. */
const adapterOption = (): Option =>
  new Option('--adapter <dir|name>', `PEFT adapter folder; or one of ${DEVICE_NAMES.join(', ')}: the WebGPU adapter (give the flag twice for both)`)
    .default({ device: 'auto' } satisfies Adapters, 'none, auto')
    .argParser((text: string, sofar: Adapters): Adapters => (DEVICE_NAMES.includes(text) ? { ...sofar, device: text } : { ...sofar, adapter: text }));

const program = new Command('ebb')
  .description('Compiles language models for WebGPU and fine-tunes them, leaving out most of the backward pass (DropBP).')
  .version('0.1.0')
  .showHelpAfterError('(--help lists the options)');

interface TrainFlags {
  readonly model?: string;
  readonly data?: string;
  readonly evalData?: string;
  readonly out?: string;
  readonly steps?: number;
  readonly batch?: number;
  readonly length?: number;
  readonly lr?: number;
  readonly dropRate?: number;
  readonly lora?: boolean;
  readonly rank?: number;
  readonly alpha?: number;
  readonly seed?: number;
  readonly accumulate?: number;
  readonly saveEvery?: number;
  readonly evalEvery?: number;
  readonly evalLimit?: number;
  readonly resume?: boolean;
  readonly json?: boolean;
  readonly adapter: string;
}

/** Flags over the file's keys. */
function trainInput(file: string | undefined, flags: TrainFlags): unknown {
  const fromFile: Partial<RunInput> | null = file === undefined ? {} : (parseYaml(readText(file)) as Partial<RunInput> | null);
  if (fromFile === null || typeof fromFile !== 'object' || Array.isArray(fromFile))
    throw new EbbError(`${file}: is no list of keys, expected a run configuration (YAML)`);
  const { adapter, resume: _resume, json: _json, lr, dropRate, lora, rank, alpha, ...plain } = flags;
  const given = Object.fromEntries(Object.entries(plain).filter(([, v]) => v !== undefined));
  const input: Record<string, unknown> = { ...fromFile, ...given };
  if (lr !== undefined) input['optimizer'] = { name: 'adamw', ...(fromFile.optimizer as object | undefined), lr };
  if (dropRate !== undefined) input['drop'] = dropRate === 0 ? { kind: 'none' } : { kind: 'uniform', rate: dropRate };
  if (lora === true || rank !== undefined || alpha !== undefined)
    input['lora'] = {
      ...(typeof fromFile.lora === 'object' ? fromFile.lora : {}),
      ...(rank === undefined ? {} : { rank }),
      ...(alpha === undefined ? {} : { alpha }),
    };
  if (adapter !== 'auto') input['adapter'] = adapter;
  return input;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new EbbError(`${path}: cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`);
  }
}

program
  .command('train')
  .description('fine-tune a model; a run file (YAML) holds any of the keys, flags go over them')
  .argument('[config]', 'run.yaml')
  .option('--model <path>', 'checkpoint folder, GGUF file or hub id')
  .option('--data <file>', 'text, JSONL, or batches as safetensors')
  .option('--eval-data <file>', 'held-out data')
  .option('--out <dir>', 'run folder')
  .option('--steps <n>', 'optimizer steps', count)
  .option('--batch <n>', 'sequences a micro-batch', count)
  .option('--length <n>', 'most tokens of a sequence', count)
  .option('--accumulate <n>', 'micro-batches a step', count)
  .option('--lr <x>', 'learning rate', number)
  .option('--lora', 'train a low-rank adapter instead of all weights')
  .option('--rank <n>', 'rank of the adapter', count)
  .option('--alpha <x>', 'alpha of the adapter', number)
  .option('--drop-rate <p>', 'share of the residual branches that get no backward in a step', number)
  .option('--seed <n>', 'seed of everything random', count)
  .option('--save-every <n>', 'steps between checkpoints', count)
  .option('--eval-every <n>', 'steps between held-out evaluations', count)
  .option('--eval-limit <n>', 'held-out examples', count)
  .option('--resume', 'go on from the newest checkpoint in the run folder')
  .option('--json', 'print the result as JSON')
  .addOption(deviceOption())
  .action(async (file: string | undefined, flags: TrainFlags) => {
    const config = parseConfig(trainInput(file, flags), file ?? 'the command line');
    let stopping = false;
    process.once('SIGINT', () => {
      stopping = true;
      say('stopping after this step; the checkpoint resumes with --resume (Ctrl-C again ends at once)');
    });
    await withDevice(config.adapter, async (device) => {
      const printer = stepPrinter();
      const report = await runTraining(config, device, { say: printer.say, onStep: printer.step, stop: () => stopping, resume: flags.resume ?? false });
      printer.end();
      print(flags.json ? JSON.stringify(report) : `${report.interrupted ? 'stopped' : 'done'} after ${report.steps} steps: ${report.out}`);
    });
  });

program
  .command('eval')
  .description('held-out loss of a model')
  .argument('<model>', 'checkpoint folder, GGUF file or hub id')
  .requiredOption('--data <file>', 'text, JSONL, or batches as safetensors')
  .option('--limit <n>', 'examples', count, 64)
  .option('--batch <n>', 'sequences at once', count, 1)
  .option('--length <n>', 'most tokens of a sequence', count, 256)
  .option('--json', 'print JSON')
  .addOption(adapterOption())
  .action(async (model: string, flags: { data: string; limit: number; batch: number; length: number; json?: boolean; adapter: Adapters }) => {
    const report = await withDevice(flags.adapter.device, (device) => runEval(model, { ...flags, adapter: flags.adapter.adapter }, device));
    print(
      flags.json
        ? JSON.stringify(report)
        : `loss ${report.loss.toFixed(4)}, perplexity ${report.perplexity.toFixed(2)}, ${report.examples} examples, ${report.tokens} tokens`,
    );
  });

program
  .command('generate')
  .description('continue a prompt')
  .argument('<model>', 'checkpoint folder, GGUF file or hub id')
  .requiredOption('--prompt <text>', 'text to continue')
  .option('--chat', "render the prompt as a user's turn by the model's chat template", false)
  .option('--max-new-tokens <n>', 'tokens to make', count, 128)
  .option('--temperature <x>', '0 is greedy', number, 0)
  .option('--top-k <n>', 'keep the k likeliest tokens; 0 keeps all', count, 0)
  .option('--top-p <x>', 'keep the likeliest tokens of this probability', number, 1)
  .option('--seed <n>', 'seed of sampling', count, 0)
  .addOption(adapterOption())
  .action(async (model: string, flags: Omit<Parameters<typeof runGenerate>[1], 'adapter'> & { adapter: Adapters }) => {
    await withDevice(flags.adapter.device, (device) =>
      runGenerate(model, { ...flags, adapter: flags.adapter.adapter }, device, (piece) => void process.stdout.write(piece)),
    );
    print('');
  });

program
  .command('forward')
  .description('logits of a batch, for checking a port')
  .argument('<model>', 'checkpoint folder, GGUF file or hub id')
  .requiredOption('--batch <file>', 'safetensors or JSON with input_ids, optional attention_mask')
  .requiredOption('--out <file>', 'safetensors to write: tensor logits, f32')
  .addOption(adapterOption())
  .action(async (model: string, flags: { batch: string; out: string; adapter: Adapters }) => {
    const { shape } = await withDevice(flags.adapter.device, (device) => forward(model, { ...flags, adapter: flags.adapter.adapter }, device));
    print(`${flags.out}: logits f32 [${shape.join(', ')}]`);
  });

program
  .command('grad')
  .description('loss and gradients of a batch, for checking a port')
  .argument('<model>', 'checkpoint folder, GGUF file or hub id')
  .requiredOption('--batch <file>', 'safetensors or JSON with input_ids, labels, optional attention_mask')
  .option('--drop <units>', 'units without backward, e.g. layers.0.attn,layers.1.mlp', list, [])
  .option('--out <file>', 'safetensors to write')
  .option('--json', 'print JSON')
  .addOption(adapterOption())
  .action(async (model: string, flags: { batch: string; out?: string; drop: string[]; json?: boolean; adapter: Adapters }) => {
    const report = await withDevice(flags.adapter.device, (device) => grad(model, { ...flags, adapter: flags.adapter.adapter }, device));
    print(
      flags.json ? JSON.stringify(report) : `loss ${report.loss}; ${Object.keys(report.norms).length} gradients, ${report.absent.length} parameters without`,
    );
  });

interface InspectFlags {
  readonly stage?: Stage;
  readonly drop?: string[];
  readonly dropRate?: number;
  readonly seed: number;
  readonly cost?: boolean;
  readonly locs?: boolean;
  readonly batch: number;
  readonly length: number;
  readonly lora?: boolean;
  readonly rank: number;
  readonly json?: boolean;
  readonly adapter: string;
}

program
  .command('inspect')
  .description('the IR of a model at any stage, or what a drop pattern costs; a dump.ebb is parsed and printed')
  .argument('<model>', 'checkpoint folder, GGUF file, or a .ebb dump')
  .addOption(new Option('--stage <stage>', 'stage to print').choices([...STAGES]))
  .option('--drop <units>', 'units without backward', list)
  .option('--drop-rate <p>', 'draw a pattern with this rate', number)
  .option('--seed <n>', 'seed of the pattern', count, 0)
  .option('--cost', 'FLOPs and bytes behind each line')
  .option('--locs', 'source lines behind each op')
  .option('--batch <n>', 'sequences', count, 1)
  .option('--length <n>', 'tokens of a sequence', count, 256)
  .option('--lora', 'with a low-rank adapter on all linear layers')
  .option('--rank <n>', 'rank of the adapter', count, 8)
  .option('--json', 'print JSON')
  .addOption(deviceOption())
  .action(async (model: string, flags: InspectFlags) => {
    if (model.endsWith('.ebb')) return print(inspectDump(model));
    const lora: LoraOptions | null = flags.lora ? { layers: ['*'], rank: flags.rank, alpha: 2 * flags.rank, rslora: false, dropout: 0 } : null;
    const result = await withDevice(flags.adapter, async ({ traits, device }) =>
      inspectModel(model, {
        ...flags,
        stage: flags.stage,
        drop: flags.drop,
        dropRate: flags.dropRate,
        cost: flags.cost ?? false,
        locs: flags.locs ?? false,
        lora,
        traits,
        maxBuffers: device.limits.maxStorageBuffersPerShaderStage,
      }),
    );
    print(flags.json ? JSON.stringify(result.json, null, 2) : result.text);
  });

program
  .command('check')
  .description('what files are, and whether Ebb can use them')
  .argument('<path...>', 'checkpoint folders, config.json, safetensors, GGUF, tokenizer.json, JSONL')
  .option('--json', 'print JSON')
  .action(async (paths: string[], flags: { json?: boolean }) => {
    const reports = [];
    for (const path of paths) reports.push({ path, ...(await checkPath(path)) });
    if (flags.json) print(JSON.stringify(reports, null, 2));
    else for (const r of reports) (r.ok ? print : say)(r.message);
    if (reports.some((r) => !r.ok)) process.exitCode = 1;
  });

program
  .command('doctor')
  .description('adapters, limits and measured speed of this machine')
  .option('--json', 'print JSON')
  .addOption(deviceOption())
  .action(async (flags: { json?: boolean; adapter: string }) => {
    const report = await withDevice(flags.adapter, doctor);
    print(flags.json ? JSON.stringify(report, null, 2) : doctorText(report));
  });

program
  .command('demo')
  .description('the bundled model learns another kind of text in a few minutes')
  .option('--steps <n>', 'optimizer steps', count, DEMO_STEPS)
  .addOption(deviceOption())
  .action(async (flags: { adapter: string; steps: number }) => {
    await withDevice(flags.adapter, async (device) => {
      const printer = stepPrinter();
      const report = await runDemo(device, flags.steps, { say: printer.say, onStep: printer.step });
      printer.end();
      const { before, after } = report.heldOut;
      print(report.table);
      print(`held-out loss ${before.toFixed(4)} -> ${after.toFixed(4)} (${(100 * (1 - after / before)).toFixed(1)} % lower)`);
    });
  });

try {
  await program.parseAsync();
} catch (error) {
  say(error instanceof EbbError ? `ebb: ${error.message}` : `ebb: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  // what a failed device left unfinished must not keep the process alive
  process.exit(1);
}
