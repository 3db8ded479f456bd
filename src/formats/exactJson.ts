/**
 * @file JSON whose numbers and keys stay as they were written: JavaScript takes 100.0 for 100, rounds long integers, and puts keys that look like
 * integers in front. Templates write all of these out, so that what is learnt would differ.
 */

import { isObject, type Json, type JsonObject } from './json.ts';

/** The key of an object that stands for a number, which JavaScript would write otherwise. No text of a file holds it. */
const NUMBER = '\u0000number';
/** Stands before a key that looks like an integer. */
const KEY = '\u0000key';

/** A string with the colon behind it if it is a key, or a number. */
const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;

/** Whether JavaScript writes a number otherwise than Python does that read it. */
const changes = (text: string): boolean => (/[.eE]/.test(text) ? Number.isInteger(Number(text)) : !Number.isSafeInteger(Number(text)));

/** Parses JSON. Numbers and keys that would be changed are kept as objects and names that `exactNumber` and `exactKey` read. @throws SyntaxError */
export function parseExactJson(text: string): Json {
  // what is no JSON is told as it was written
  const plain = JSON.parse(text) as Json;
  let changed = false;
  const kept = text.replaceAll(TOKENS, (token: string, string: string | undefined, colon: string | undefined) => {
    if (string === undefined) {
      if (!changes(token)) return token;
      changed = true;
      return JSON.stringify({ [NUMBER]: token });
    }
    if (colon === undefined || !/^"\d+"$/.test(string)) return token;
    changed = true;
    return `${JSON.stringify(KEY + string.slice(1, -1))}${colon}`;
  });
  return changed ? (JSON.parse(kept) as Json) : plain;
}

/** The number that an object stands for, as it was written; undefined for everything else. */
export function exactNumber(value: Json | undefined): string | undefined {
  const text = isObject(value) ? value[NUMBER] : undefined;
  return typeof text === 'string' ? text : undefined;
}

/** A key as it was written. */
export const exactKey = (key: string): string => (key.startsWith(KEY) ? key.slice(KEY.length) : key);

/** The fields of an object whose numbers are JavaScript's. */
export function plainJson(value: Json): Json {
  const text = exactNumber(value);
  if (text !== undefined) return Number(text);
  if (Array.isArray(value)) return value.map(plainJson);
  return isObject(value) ? (Object.fromEntries(Object.entries(value).map(([key, inner]) => [exactKey(key), plainJson(inner ?? null)])) as JsonObject) : value;
}
