/** @file What a step that gave no number is told to a person by: the first function whose output is not finite, and the records of its batch. */

import type { Draw } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import type { Engine, MicroBatch } from '../runtime/execute.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import { nonFiniteText } from '../runtime/nonFiniteValue.ts';
import type { BatchSource } from './batches.ts';
import { type StepSource, stepMicros } from './step.ts';

/** Records that are named; of more it is said how many there are. */
const MOST_NAMED = 8;

/** The records that micro-batches `first` to `first + count − 1` hold, as a part of a sentence; null where nobody knows. */
function recordsText({ recordsOf }: Pick<BatchSource, 'recordsOf'>, first: number, count: number): string | null {
  if (!recordsOf) return null;
  const records = [...new Set(Array.from({ length: count }, (_, micro) => recordsOf(first + micro)).flat())].sort((a, b) => a - b);
  const named = records.slice(0, MOST_NAMED).join(', ');
  return `its batch is of ${records.length === 1 ? 'record' : 'records'} ${named}${records.length > MOST_NAMED ? `, … (${records.length})` : ''}`;
}

/**
 * Runs micro-batches once more, function by function, and says what of them is not finite first, and which records they hold: behind a
 * semicolon, or nothing where nothing is known. It writes over activations and gradients, so nothing of a step may be under way that is still needed.
 * @param batches where the micro-batches are from, of which they are `first` and those behind it
 */
export async function blameText(
  engine: Pick<Engine, 'findNonFinite'>,
  micros: readonly MicroBatch[],
  batches: Pick<BatchSource, 'recordsOf'> = {},
  first = 0,
): Promise<string> {
  let where: string | null = null;
  for (const micro of micros) {
    const found = where === null ? await engine.findNonFinite(micro) : null;
    if (found) where = nonFiniteText(found);
  }
  return [where, recordsText(batches, first, micros.length)].flatMap((text) => (text === null ? [] : [`; ${text}`])).join('');
}

/** What to do about the first step of a run: no update of this run has had a part in its loss. */
const NOTHING_LEARNT =
  'this is the first step of the run, so the learning rate has no part in it: look at the data of this step, at the weights, and at what in the model has no value for some numbers (log and sqrt of 0 and less, a division by 0)';

/** A step that was submitted, as far as it is needed to run its batch again. */
interface Failed {
  readonly step: number;
  readonly draws: readonly Draw[];
}

/** The error of a step that gave no number. Such a step updates nothing, so that its batch can be run again. */
export async function stepError(
  source: StepSource & { readonly engine: Engine; readonly fitted?: (pattern: Pattern) => Pattern },
  { step, draws }: Failed,
  { loss, gradNorm, isFirst }: { readonly loss: number; readonly gradNorm: number; readonly isFirst: boolean },
): Promise<EbbError> {
  const { engine, batches, config } = source;
  const { micros } = stepMicros(source, step, draws, source.fitted);
  const where = await blameText(engine, micros, batches, step * config.accumulate);
  const advice = isFirst ? NOTHING_LEARNT : 'lower the learning rate (optimizer.lr), or look at the data of this step';
  return new EbbError(`step ${step + 1}: the loss is ${loss} and the gradient norm ${gradNorm}${where}; ${advice}`, 'numbers');
}
