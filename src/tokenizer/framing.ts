/** @file How a sequence begins and ends, decided here for training, evaluation and generation alike. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';

/** The tokens around a text that no chat template wrote. */
export interface Framing {
  /** Ids that come before a text, and are not learnt. */
  readonly prefix: readonly number[];
  /** Ids that end a text, and are learnt. */
  readonly suffix: readonly number[];
}

/** Whether `ids` holds `part` at `from`. */
const holds = (ids: readonly number[], part: readonly number[], from: number): boolean => part.every((id, i) => ids[from + i] === id);

/** What stands around a text. */
const NOTHING: Framing = { prefix: [], suffix: [] };

/** The ids of a piece of a template; null for the text itself. @throws EbbError for a piece that is neither */
function pieceIds(path: string, piece: Json, tokens: JsonObject): readonly number[] | null {
  const { Sequence: sequence, SpecialToken: special } = isObject(piece) ? piece : {};
  if (isObject(sequence) && sequence['id'] === 'A') return null;
  const named = isObject(special) ? tokens[String(special['id'])] : undefined;
  const ids = isObject(named) && Array.isArray(named['ids']) ? named['ids'] : [];
  if (ids.length > 0 && ids.every((id): id is number => typeof id === 'number')) return ids;
  throw new EbbError(`${path}: post_processor.single holds ${show(piece)}, expected the text (Sequence A) or a token that special_tokens describes`, 'file');
}

function templateFrame(path: string, { single, special_tokens: tokens }: JsonObject): Framing {
  const pieces = (Array.isArray(single) ? single : []).map((piece) => pieceIds(path, piece, isObject(tokens) ? tokens : {}));
  const at = pieces.indexOf(null);
  if (at < 0 || at !== pieces.lastIndexOf(null))
    throw new EbbError(`${path}: post_processor.single is ${show(single)}, expected a template that holds the text (Sequence A) once`, 'file');
  const idsOf = (part: readonly (readonly number[] | null)[]): number[] => part.flatMap((ids) => ids ?? []);
  return { prefix: idsOf(pieces.slice(0, at)), suffix: idsOf(pieces.slice(at + 1)) };
}

/** The id of a pair [token, id]. */
const pairId = (pair: Json | undefined): readonly number[] => (Array.isArray(pair) && typeof pair[1] === 'number' ? [pair[1]] : []);

/** Whether a post-processor puts tokens around texts. */
const isFraming = (part: Json): boolean =>
  isObject(part) &&
  (['TemplateProcessing', 'BertProcessing', 'RobertaProcessing'].includes(String(part['type'])) || [part['processors'] ?? []].flat().some(isFraming));

/**
 * The tokens that a post-processor puts around every text, as it says itself: no vocabulary has to cover a text for it.
 * @param path begins every error
 * @throws EbbError for a template in which the text does not stand once
 */
export function frameOf(path: string, part: Json | undefined): Framing {
  if (!isObject(part)) return NOTHING;
  switch (part['type']) {
    case 'TemplateProcessing':
      return templateFrame(path, part);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { prefix: pairId(part['cls']), suffix: pairId(part['sep']) };
    case 'Sequence': {
      const frames = (Array.isArray(part['processors']) ? part['processors'] : []).filter(isFraming).map((inner) => frameOf(path, inner));
      // the reference ends the process over the second one
      if (frames.length > 1)
        throw new EbbError(`${path}: post_processor puts tokens around a text ${frames.length} times, expected once: leave one of them`, 'file');
      return frames[0] ?? NOTHING;
    }
    default:
      return NOTHING;
  }
}

/** How texts are framed: what the post-processor puts around them, and behind it the end of text where it puts none. @param end its id, null where there is none */
export const framingOf = ({ prefix, suffix }: Framing, end: number | null): Framing => ({
  prefix,
  suffix: end === null || suffix.at(-1) === end ? suffix : [...suffix, end],
});

/** The tokens in front of a text: none where it begins with them already. */
export const prefixFor = ({ prefix }: Framing, ids: readonly number[]): readonly number[] => (holds(ids, prefix, 0) ? [] : prefix);

/** The tokens behind a text: none where it ends with the last of them already. */
export const suffixFor = ({ suffix }: Framing, ids: readonly number[]): readonly number[] => (suffix.length > 0 && ids.at(-1) === suffix.at(-1) ? [] : suffix);

/** Says how a text begins and ends. */
export function framingText({ prefix, suffix }: Framing, token: (id: number) => string | undefined): string {
  const names = (ids: readonly number[]): string => ids.map((id) => token(id) ?? `token ${id}`).join(' ');
  const begin = prefix.length === 0 ? 'begins with its own first token' : `begins with ${names(prefix)}, which is not learnt`;
  const end = suffix.length === 0 ? 'no token ends it, since the tokenizer names none: nothing teaches the model to stop' : `ends with ${names(suffix)}`;
  return `a text ${begin}; ${end}`;
}
