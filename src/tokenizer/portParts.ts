/** @file The parts of a tokenizer.json as the port's library has to be told them, so that it does what the reference does. */

import { isObject, type Json, type JsonObject } from '../formats/json.ts';

const split = (regex: string): JsonObject => ({ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false });

/** The English contractions that many tokenizers split off, whatever their case. Ignoring case, ſ is an s; the library's rewriting knows ASCII alone. */
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPELLED_OUT = "(?:'[sS\u017f]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";

/** Whether a regular expression ignores case elsewhere than in contractions. */
export const ignoresCase = (regex: string): boolean => /\(\?[a-z]*i/.test(regex.replaceAll(CONTRACTIONS, ''));

/** A string that stands for itself where JavaScript replaces a pattern by it. */
const literal = (content: string): string => content.replaceAll('$', '$$$$');

/** White space as the reference has it: JavaScript's lacks the next line, and has the byte order mark. */
const SPACES = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** A regular expression whose \\s and \\S are those of the reference. A \\S within brackets stays as it is. */
function exactSpaces(regex: string): string {
  let within = false;
  return regex.replaceAll(/\\[\s\S]|[[\]]/g, (token) => {
    if (token === '[' || token === ']') {
      within = token === '[';
      return token;
    }
    if (token === '\\s') return within ? SPACES : `[${SPACES}]`;
    return token === '\\S' && !within ? `[^${SPACES}]` : token;
  });
}

/** A pattern with contractions spelled out, and the reference's white space. */
function exactPattern(pattern: Json | undefined): Json {
  if (!isObject(pattern) || typeof pattern['Regex'] !== 'string') return pattern ?? null;
  return { Regex: exactSpaces(pattern['Regex'].replaceAll(CONTRACTIONS, SPELLED_OUT)) };
}

/** What GPT-2 splits texts by. */
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A normalizer: contents are replaced as they are, nothing is put before an empty text, and a Σ becomes a σ wherever it stands. */
export function exactNormalizer(part: Json | undefined): Json {
  if (!isObject(part)) return null;
  switch (part['type']) {
    case 'Sequence':
      return { ...part, normalizers: Array.isArray(part['normalizers']) ? part['normalizers'].map(exactNormalizer) : [] };
    case 'Replace':
      return { ...part, pattern: exactPattern(part['pattern']), content: literal(String(part['content'])) };
    case 'Prepend':
      return { type: 'Replace', pattern: { Regex: '(?<![\\s\\S])(?=[\\s\\S])' }, content: literal(String(part['prepend'])) };
    case 'Lowercase':
      return { type: 'Sequence', normalizers: [{ type: 'Replace', pattern: { String: '\u03a3' }, content: '\u03c3' }, part] };
    default:
      return part;
  }
}

/** A pre-tokenizer: digits are all numerals (char::is_numeric), and Metaspace splits before each ▁ unless it is told not to. */
export function exactPreTokenizer(part: Json | undefined): Json {
  if (!isObject(part)) return null;
  const { type, pretokenizers, individual_digits: individual } = part;
  if (type === 'Sequence' && Array.isArray(pretokenizers)) return { ...part, pretokenizers: pretokenizers.map(exactPreTokenizer) };
  if (type === 'Digits') return split(individual === true ? '\\p{N}' : '\\p{N}+');
  if (type === 'ByteLevel' && part['use_regex'] !== false && part['add_prefix_space'] !== true)
    return { type: 'Sequence', pretokenizers: [split(exactSpaces(GPT2)), { ...part, use_regex: false }] };
  if (type === 'Split') return { ...part, pattern: exactPattern(part['pattern']) };
  if (type === 'Metaspace' && part['split'] !== false) return { type: 'Sequence', pretokenizers: [part, split('\u2581[^\u2581]*|[^\u2581]+')] };
  return part;
}
