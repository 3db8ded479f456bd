/** @file The flags of a run, shared by `ebb train`, the commands over a run's config and generated trainers. A flag overrides the key of the run file. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { parse } from 'yaml';
import { EbbError } from '../errors.ts';
import type { RunInput } from '../train/config.ts';
import { keyDescriptions } from '../train/runKeys.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from './deviceFlags.ts';
import { count, dropoutRate, list, listOption, nonNegative, number, positive, positiveNumber, RepeatableOption } from './options.ts';

/** A flag that sets a key of a run file. Its help is what the schema says of the key. */
interface KeyFlag {
  /** Flag and value, as commander writes them: `--steps <n>`. */
  readonly flags: string;
  /** With dots between nested keys: `optimizer.lr`. */
  readonly key: string;
  /** Reads the value; default: it is text. */
  readonly parse?: (text: string) => unknown;
  /** Whether it is a list, which may be given in several flags. */
  readonly isList?: true;
}

/** Flags of the keys that every run has. */
const RUN_KEYS: readonly KeyFlag[] = [
  { flags: '--data <file>', key: 'data' },
  { flags: '--eval-data <file>', key: 'evalData' },
  { flags: '--chat-template <file>', key: 'chatTemplate' },
  { flags: '--out <dir>', key: 'out' },
  { flags: '--steps <n>', key: 'steps', parse: positive },
  { flags: '--epochs <x>', key: 'epochs', parse: positiveNumber },
  { flags: '--batch <n>', key: 'batch', parse: positive },
  { flags: '--length <n>', key: 'length', parse: positive },
  { flags: '--accumulate <n>', key: 'accumulate', parse: positive },
  { flags: '--optimizer <name>', key: 'optimizer.name' },
  { flags: '--lr <x>', key: 'optimizer.lr', parse: nonNegative },
  { flags: '--weight-decay <x>', key: 'optimizer.weightDecay', parse: nonNegative },
  { flags: '--schedule <name>', key: 'schedule' },
  { flags: '--warmup-steps <n>', key: 'warmupSteps', parse: count },
  { flags: '--clip <x>', key: 'clip', parse: nonNegative },
  { flags: '--seed <n>', key: 'seed', parse: count },
  { flags: '--memory-budget <bytes>', key: 'memoryBudget' },
  { flags: '--save-every <n>', key: 'saveEvery', parse: count },
  { flags: '--eval-every <n>', key: 'evalEvery', parse: count },
  { flags: '--eval-limit <n>', key: 'evalLimit', parse: positive },
  { flags: '--patience <n>', key: 'patience', parse: positive },
];

/** Flags of the keys that say what is trained. A generated trainer was compiled for them. */
const MODEL_KEYS: readonly KeyFlag[] = [
  { flags: '--model <path>', key: 'model' },
  { flags: '--weights <path>', key: 'weights' },
  { flags: '--rank <n>', key: 'lora.rank', parse: positive },
  { flags: '--alpha <x>', key: 'lora.alpha', parse: positiveNumber },
  { flags: '--lora-layers <globs>', key: 'lora.layers', parse: list, isList: true },
  { flags: '--lora-dropout <p>', key: 'lora.dropout', parse: dropoutRate },
];

/** A key and the value that it is given. */
interface Setting {
  readonly key: string;
  readonly value: unknown;
  /** The flag that gives it. */
  readonly by: string;
}

/** Reads `key=value`, whose value is YAML. */
function setting(text: string, given: readonly Setting[] = []): readonly Setting[] {
  const [, key, value] = /^([\w.-]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('expected a key, = and a value, such as optimizer.lr=2e-4.');
  try {
    return [...given, { key, value: parse(value), by: `--set ${key}` }];
  } catch (error) {
    throw new InvalidArgumentError(`the value of ${key} is no YAML (${error instanceof Error ? error.message.split('\n')[0] : String(error)}).`);
  }
}

/** The flags as commander parses them; those of keys by their names. */
export interface RunFlags extends AdapterFlags {
  readonly lora?: boolean;
  readonly dropRate?: number;
  readonly set?: readonly Setting[];
  readonly resume?: boolean;
  readonly accept?: readonly string[];
  readonly extend?: boolean;
  readonly json?: boolean;
}

function addKeys(command: Command, keys: readonly KeyFlag[]): void {
  const describe = keyDescriptions();
  for (const { flags, key, parse: read, isList } of keys) {
    if (isList) command.addOption(listOption(flags, `${describe(key)}; between commas`, list));
    else command.addOption(read ? new Option(flags, describe(key)).argParser(read) : new Option(flags, describe(key)));
  }
}

/** Adds the flags that say what is trained. */
export function addModelFlags(command: Command): Command {
  addKeys(command, MODEL_KEYS);
  return command.option('--lora', 'train a low-rank adapter instead of all weights');
}

/** Adds the flags of a run. */
export function addRunFlags(command: Command): Command {
  addKeys(command, RUN_KEYS);
  return command
    .option('--drop-rate <p>', 'share of the residual branches that get no backward in a step', number)
    .addOption(new RepeatableOption('--set <key=value>', 'any key of a run file, such as optimizer.eps=1e-6').argParser(setting))
    .option('--resume', 'go on from the newest checkpoint in the run folder')
    .addOption(listOption('--accept <parts>', 'with --resume: what may be another than the run began with, such as data; between commas', list))
    .option('--extend', 'with --resume and more steps: keep the learning rate of the last step')
    .option('--json', 'print the result as JSON')
    .addOption(adapterOption('a PEFT adapter to go on with (lora.from): its folder, or that of a run'))
    .addOption(deviceOption());
}

/** What the flags set. @throws EbbError as `adapterOf` */
function settingsOf(flags: RunFlags): readonly Setting[] {
  const { device, adapter } = adapterOf(flags);
  const given = new Map(Object.entries(flags));
  const ofKeys = [...RUN_KEYS, ...MODEL_KEYS].flatMap(({ flags: text, key }): Setting[] => {
    const option = new Option(text);
    const value: unknown = given.get(option.attributeName());
    return value === undefined ? [] : [{ key, value, by: option.long ?? text }];
  });
  return [
    ...ofKeys,
    ...(adapter === undefined ? [] : [{ key: 'lora.from', value: adapter, by: '--adapter' }]),
    ...(device === undefined ? [] : [{ key: 'device', value: device, by: '--device' }]),
    ...(flags.dropRate === undefined
      ? []
      : [{ key: 'drop', value: flags.dropRate === 0 ? { kind: 'none' } : { kind: 'uniform', rate: flags.dropRate }, by: '--drop-rate' }]),
    ...(flags.set ?? []),
  ];
}

type Keys = Readonly<Record<string, unknown>>;
const isKeys = (value: unknown): value is Keys => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The keys with another value at a path. */
function withValue(keys: Keys, [first, ...rest]: readonly string[], value: unknown): Keys {
  if (first === undefined) return keys;
  const inner = keys[first];
  return { ...keys, [first]: rest.length === 0 ? value : withValue(isKeys(inner) ? inner : {}, rest, value) };
}

/** @throws EbbError for a key that two flags set */
function checkOnce(settings: readonly Setting[]): void {
  for (const [i, { key, by }] of settings.entries()) {
    const other = settings.slice(i + 1).find((later) => later.key === key || later.key.startsWith(`${key}.`) || key.startsWith(`${later.key}.`));
    if (other) throw new EbbError(`${by} and ${other.by} both set ${other.key === key ? key : `${key} and ${other.key}`}; give one of them`, 'config');
  }
}

/** @throws EbbError for a flag about held-out evaluations where there is no held-out data */
function checkEvaluation(keys: Keys, settings: readonly Setting[]): void {
  if (keys['evalData'] !== undefined) return;
  const idle = settings.find(({ key, value }) => key === 'evalLimit' || (key === 'evalEvery' && value !== 0));
  if (idle) throw new EbbError(`${idle.by}: there is no held-out data to evaluate; give --eval-data, or leave ${idle.by} out`, 'config');
}

/**
 * Returns the keys of a run file, overridden by the flags that were given.
 * @throws EbbError for a key that two flags set, for evaluations without held-out data, and as `adapterOf` does
 */
export function runInput(fromFile: Partial<RunInput>, flags: RunFlags): Record<string, unknown> {
  const settings = settingsOf(flags);
  checkOnce(settings);
  const adapted: Keys = flags.lora === true && !isKeys(fromFile.lora) ? { ...fromFile, lora: true } : { ...fromFile };
  const keys = settings.reduce<Keys>((sofar, { key, value }) => withValue(sofar, key.split('.'), value), adapted);
  checkEvaluation(keys, settings);
  return { ...keys };
}
