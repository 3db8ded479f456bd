/** @file The strict JSON reader agrees with JSON.parse on what both accept, and refuses more. */

import fc from 'fast-check';
import { parseJson, parseJsonObject } from '../../src/formats/json.ts';
import { messageOf } from './fixtureFolder.ts';

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

it('reads what JSON.stringify writes, also indented', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      expect(plain(parseJson('f', text))).toEqual(plain(JSON.parse(text)));
      expect(plain(parseJson('f', JSON.stringify(JSON.parse(text), null, 2)))).toEqual(plain(JSON.parse(text)));
    }),
  );
});

it('accepts nothing that JSON.parse refuses', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\u00eE+-.019truefalsn \n\t'), maxLength: 12 }), (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      if (!valid) expect(messageOf(() => parseJson('f', text))).toMatch(/^f: is not valid JSON at line \d+, column \d+: /);
      else if (!/"[^"]*"\s*:[^]*"[^"]*"\s*:/.test(text)) expect(plain(parseJson('f', text))).toEqual(plain(JSON.parse(text)));
    }),
    { numRuns: 3000 },
  );
});

it('refuses double keys and deep nesting, and says where', () => {
  expect(messageOf(() => parseJson('f', '{"a": 1,\n "a": 2}'))).toBe('f: is not valid JSON at line 2, column 2: the key "a" occurs twice');
  expect(messageOf(() => parseJson('f', '['.repeat(100_000)))).toContain('nested more than');
  expect(messageOf(() => parseJsonObject('f', '[1]'))).toBe('f: holds an array, expected a JSON object');
});

it('takes __proto__ for an ordinary key', () => {
  const value = parseJsonObject('f', '{"__proto__": {"polluted": 1}}');
  expect(Object.keys(value)).toEqual(['__proto__']);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

it('reads a megabyte of keys', () => {
  const text = JSON.stringify(Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`token ${i}`, i])));
  expect(parseJsonObject('f', text)).toMatchObject(JSON.parse(text));
});
