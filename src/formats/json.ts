/** @file A strict JSON reader: bounded depth, no duplicate keys, errors with line and column; objects have no prototype. */

import { EbbError } from '../errors.ts';

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

const MAX_DEPTH = 128;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
const SPACE = /[ \t\r\n]*/y;
const LITERALS: readonly (readonly [string, Json])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The value of a JSON text. `where` (a file name, or a file and a part of it) begins every error.
 * A byte order mark at the start is skipped.
 */
export function parseJson(where: string, text: string): Json {
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;

  const fail = (what: string, position = at): never => {
    const before = text.slice(0, position);
    const line = before.split('\n').length;
    const column = position - (before.lastIndexOf('\n') + 1) + 1;
    throw new EbbError(`${where}: is not valid JSON at line ${line}, column ${column}: ${what}`);
  };
  const found = (): string => (at >= text.length ? 'the end of the text' : JSON.stringify(text[at]));
  const skip = (): void => {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    at = SPACE.lastIndex;
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const result = pattern.exec(text)?.[0];
    if (result !== undefined) at += result.length;
    return result;
  };
  const string = (): string => {
    const start = at;
    const token = match(STRING) ?? fail(text[at] === '"' ? 'a string that does not end' : `found ${found()}, expected a string`);
    if (!token.includes('\\')) return token.slice(1, -1);
    try {
      return String(JSON.parse(token));
    } catch {
      return fail('a string with an invalid escape', start);
    }
  };
  const list = (depth: number): Json[] => {
    const result: Json[] = [];
    at++;
    skip();
    if (text[at] === ']') return (at++, result);
    for (;;) {
      result.push(value(depth));
      skip();
      if (text[at] === ']') return (at++, result);
      if (text[at] !== ',') fail(`found ${found()}, expected "," or "]"`);
      at++;
    }
  };
  const object = (depth: number): JsonObject => {
    const result: JsonObject = Object.create(null) as JsonObject;
    at++;
    skip();
    if (text[at] === '}') return (at++, result);
    for (;;) {
      skip();
      const start = at;
      const key = string();
      if (Object.hasOwn(result, key)) fail(`the key ${JSON.stringify(key)} occurs twice`, start);
      skip();
      if (text[at] !== ':') fail(`found ${found()}, expected ":"`);
      at++;
      result[key] = value(depth);
      skip();
      if (text[at] === '}') return (at++, result);
      if (text[at] !== ',') fail(`found ${found()}, expected "," or "}"`);
      at++;
    }
  };
  const value = (depth: number): Json => {
    if (depth > MAX_DEPTH) fail(`nested more than ${MAX_DEPTH} deep`);
    skip();
    const char = text[at];
    if (char === '{') return object(depth + 1);
    if (char === '[') return list(depth + 1);
    if (char === '"') return string();
    for (const [word, literal] of LITERALS) {
      if (text.startsWith(word, at)) return ((at += word.length), literal);
    }
    const number = match(NUMBER);
    return number === undefined ? fail(`found ${found()}, expected a value`) : Number(number);
  };

  const result = value(0);
  skip();
  if (at < text.length) fail(`found ${found()}, expected the end of the text`);
  return result;
}

/** The object of a JSON text; anything else is refused. */
export function parseJsonObject(where: string, text: string): JsonObject {
  const value = parseJson(where, text);
  if (!isObject(value)) {
    const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
    throw new EbbError(`${where}: holds ${found}, expected a JSON object`);
  }
  return value;
}
