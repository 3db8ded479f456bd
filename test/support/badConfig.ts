/** @file What is wrong with a malformed config.json: the keys in which it differs from the one that belongs to the weights. */

import { dirname, join } from 'node:path';
import { readJson } from '../formats/fixtureFolder.ts';

/** Keys whose values differ from the sound config beside `weights`, inner keys included; none where the file is no JSON. */
export function wrongKeys(config: string, weights: string): string[] {
  const sound: Record<string, unknown> = readJson(join(dirname(weights), 'config.json'));
  let found: Record<string, unknown>;
  try {
    found = readJson(config);
  } catch {
    return [];
  }
  const keys = [...new Set([...Object.keys(sound), ...Object.keys(found)])].filter((key) => JSON.stringify(sound[key]) !== JSON.stringify(found[key]));
  const inner = keys.flatMap((key) => (typeof found[key] === 'object' && found[key] !== null && !Array.isArray(found[key]) ? Object.keys(found[key]) : []));
  return [...keys, ...inner];
}

/** Fails unless `message` names one of the wrong keys, and the file. */
export function expectNamed(message: string, config: string, weights: string): void {
  const keys = wrongKeys(config, weights);
  if (keys.length === 0) return;
  expect({ message, keys, named: keys.some((key) => message.includes(key)) }).toMatchObject({ named: true });
}
