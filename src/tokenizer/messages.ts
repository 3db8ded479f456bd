/** @file What the messages of a conversation say of themselves: who speaks, and whether an answer is learnt. What is misspelt is refused. */

import { distance } from 'fastest-levenshtein';
import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { plainJson } from '../formats/exactJson.ts';
import type { Json, JsonObject } from '../formats/json.ts';

export const isAnswer = (message: JsonObject): boolean => message['role'] === 'assistant';

/** Whether an answer is to be learnt: `weight: 0` and `train: false` say that it is not. */
export const learns = ({ weight = null, train }: JsonObject): boolean => plainJson(weight) !== 0 && train !== false;

const ROLES: readonly string[] = ['system', 'user', 'assistant', 'tool', 'developer', 'function', 'ipython'];
/** Names that other formats have for who answers. */
const ANSWERERS: readonly string[] = ['ai', 'bot', 'chatbot', 'gpt', 'model'];

/** The role that a role that is none stands for; undefined where it may be one of the template's own. */
function meantRole(role: string, texts: ReadonlySet<string>): string | undefined {
  const plain = role.trim().toLowerCase();
  // an answer by any other name is never learnt, whatever a template makes of it
  if (distance(plain, 'assistant') <= 2) return 'assistant';
  if (texts.has(role)) return undefined;
  return ANSWERERS.includes(plain) ? 'assistant' : ROLES.find((known) => known === plain);
}

/** Keys by which other tools say what is learnt. */
const OTHER_KEYS: ReadonlySet<string> = new Set([
  'learn',
  'loss',
  'lossmask',
  'lossweight',
  'mask',
  'masked',
  'trainable',
  'traindetail',
  'training',
  'trainon',
  'trainonturn',
]);

const letters = (text: string): string => Array.from(text).sort().join('');

/** The key that a key looks like a misspelling of. */
function meantKey(key: string): string | undefined {
  const plain = key.toLowerCase().replaceAll(/[\s_-]/g, '');
  const meant = ['weight', 'train'].find((known) => plain[0] === known[0] && (distance(plain, known) <= 1 || letters(plain) === letters(known)));
  return meant ?? (OTHER_KEYS.has(plain) ? 'weight or train' : undefined);
}

/** What is wrong with a value of `weight` or `train`. */
function expectedOf(key: string, value: Json): string | undefined {
  if (key === 'train') return typeof value === 'boolean' ? undefined : 'true or false';
  const weight = plainJson(value);
  return weight === 0 || weight === 1 ? undefined : '0 (not learnt) or 1 (learnt)';
}

/**
 * Checks what messages say of who speaks and what is learnt.
 * @param texts the texts of the chat template's expressions, among which are the roles that it tells apart
 * @throws EbbError for roles and keys that are misspelt, and for values that say nothing
 */
export function checkMessages(messages: readonly JsonObject[], texts: ReadonlySet<string>): void {
  for (const [i, message] of messages.entries()) {
    const { role } = message;
    const meant = typeof role === 'string' && !ROLES.includes(role) ? meantRole(role, texts) : undefined;
    if (meant !== undefined) throw new EbbError(`messages[${i}].role is ${show(role)}, did you mean ${meant}? Answers are learnt where the role is assistant`);
    for (const [key, value] of Object.entries(message)) {
      if (value === null) continue;
      if (key === 'weight' || key === 'train') {
        const expected = expectedOf(key, value);
        if (expected !== undefined) throw new EbbError(`messages[${i}].${key} is ${show(plainJson(value))}, expected ${expected}`);
      } else {
        const known = meantKey(key);
        if (known !== undefined)
          throw new EbbError(`messages[${i}].${key} is not read, did you mean ${known}? "weight": 0 or "train": false keep a message from being learnt`);
      }
    }
  }
}
