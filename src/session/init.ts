/** @file `ebb init`: a commented run file for a model and data, after a look at both. */

import { join } from 'node:path';
import { holdsRecords } from '../data/locate.ts';
import { at, EbbError } from '../errors.ts';
import { checkOptions, type OptionShape } from '../issues.ts';
import { describeModel, type ModelDescription } from '../models/checkpoint.ts';
import { prepare } from '../run/prepare.ts';
import { tellNotes, type Watch } from '../run/progress.ts';
import { schemaComment } from '../run/runFile.ts';
import { parseConfig } from '../train/config.ts';
import { modelPath } from './modelPath.ts';
import { text as textKind, WATCH } from './optionKinds.ts';
import { isDefinition } from './source.ts';

/** What a run file is made for. */
export interface InitOptions extends Watch {
  /** A checkpoint folder, GGUF file or hub id. */
  readonly model: string;
  /** Text, or records (.jsonl). */
  readonly data: string;
  /** Where the run file is to lie. */
  readonly file: string;
}

const INIT: OptionShape<InitOptions> = { ...WATCH, model: textKind, data: textKind, file: textKind };

/** Examples that are looked at. */
const LOOKED_AT = 1000;
/** Sequences are not made longer than this by themselves, whatever the data holds: memory grows with them. */
const LONGEST = 1024;
const SHORTEST = 64;
/** Tokens that a step should learn from, in as many sequences as that takes. */
const TOKENS_A_STEP = 2048;
/** Share of the examples that are not cut. */
const WHOLE = 0.95;

/** What was seen of the data. */
interface Look {
  readonly length: number;
  readonly batch: number;
  /** A sentence for a comment. */
  readonly told: string;
}

const quantile = (sorted: readonly number[], share: number): number => at(sorted, Math.min(sorted.length - 1, Math.floor(share * sorted.length)));

/** Chooses a length that holds nearly all examples whole, in steps of 64 tokens, and as many sequences as make a step worthwhile. */
export function lookAt(given: Iterable<number>, maxPosition: number, what: string): Look {
  const lengths = [...given].sort((a, b) => a - b);
  const most = Math.min(maxPosition, LONGEST);
  const length = Math.min(most, Math.max(SHORTEST, 64 * Math.ceil(quantile(lengths, WHOLE) / 64)));
  const middle = quantile(lengths, 0.5);
  const batch = Math.max(1, Math.min(16, 2 ** Math.floor(Math.log2(Math.max(1, TOKENS_A_STEP / Math.max(1, middle))))));
  const cut = lengths.filter((l) => l >= most).length;
  const seen = `${lengths.length}${lengths.length === LOOKED_AT ? ' first' : ''} ${what}`;
  const cutText = cut > 0 && length === most ? `; ${cut} of them reach ${most} tokens and may be cut` : '';
  return { length, batch, told: `${seen}: ${middle} tokens in the middle, ${at(lengths, -1)} at most${cutText}` };
}

async function lookAtData({ path, config }: ModelDescription, data: string): Promise<Look> {
  const length = Math.min(config.maxPosition, LONGEST);
  const preparation = prepare();
  const { report } = await preparation
    .tokenise({ path: data, tokenizer: path, length, fields: {}, limit: LOOKED_AT, vocabSize: config.vocabSize })
    .finally(preparation.end);
  return holdsRecords(data)
    ? lookAt(report.lengths, config.maxPosition, 'records')
    : { length: Math.min(256, length), batch: 8, told: `text, in pieces of ${Math.min(256, length)} tokens` };
}

/** The text of a run file that trains a low-rank adapter of a checkpoint. */
function runText({ model, data, file }: InitOptions, { config, missing }: ModelDescription, look: Look): string {
  const { kind, numLayers, hiddenSize, vocabSize, maxPosition } = config;
  return `${schemaComment(join(file, '..'))}# A run of Ebb: ebb train ${file}
# Every key: docs/training.md. What memory it takes, without running it: ebb plan ${file}

# ${kind}: ${numLayers} layers, hidden size ${hiddenSize}, vocabulary ${vocabSize}, ${maxPosition} positions${missing ? '; its weights are missing' : ''}
model: ${JSON.stringify(model)}

# ${look.told}
data: ${JSON.stringify(data)}
# Data that is not trained on; the loss on it is measured before and after.
# evalData: held-out.jsonl

# Where checkpoints, metrics and the result are written.
out: runs/mine

# How often the data is gone through. Or steps: 300
epochs: 1

# Sequences at once, and most tokens of each.
batch: ${look.batch}
length: ${look.length}

# A low-rank adapter on all linear layers; false trains all weights.
lora: { rank: 16, alpha: 32 }

optimizer: { lr: 2.0e-4 }
schedule: cosine

# Half of the residual branches get no backward in a step (DropBP). ebb analyze ${file} says which rate pays.
drop: { kind: uniform, rate: 0.5 }

# Steps between checkpoints; --resume goes on from the newest. 0: one at the end.
saveEvery: 0
seed: 0
`;
}

/**
 * Makes the text of a run file. Lengths and batch follow from the data's tokens.
 * @throws EbbError for a model or data that cannot be used, and for a definition, whose inputs are its own
 */
export async function init(options: InitOptions): Promise<string> {
  checkOptions('init()', options, INIT);
  const { model, data, file } = options;
  if (isDefinition(model)) throw new EbbError(`${model}: is a definition, for which there is no usual run; docs/training.md lists the keys of a run file`);
  const described = describeModel(await modelPath(model, { weights: false }, options));
  tellNotes(options, model, described.notes);
  const text = runText(options, described, await lookAtData(described, data));
  // What is written can be read: the keys above are those of this version.
  const { parse } = await import('yaml');
  parseConfig(parse(text), file);
  return text;
}
