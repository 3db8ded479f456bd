/** @file What was trained, as it lies in a run's folder. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { momentMetadata, publish, trainedIn, trainedMoment } from '../../src/run/results.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-results-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (...names: string[]): string => join(folder, ...names);
function write(name: string, text = name): void {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
}
const files = (name: string): string[] =>
  readdirSync(at(name), { recursive: true, encoding: 'utf8' })
    .filter((file) => statSync(at(name, file)).isFile())
    .sort();

it('holds the files of another folder without a copy, and no others; a second time changes nothing', () => {
  write('from/model.safetensors', 'new');
  write('from/further/a.jinja');
  write('to/model.safetensors', 'old');
  write('to/gone.json');
  for (let i = 0; i < 2; i++) {
    publish(at('from'), at('to'));
    expect(files('to')).toEqual(['further/a.jinja', 'model.safetensors']);
    expect(readFileSync(at('to/model.safetensors'), 'utf8')).toBe('new');
    expect(statSync(at('to/model.safetensors')).ino).toBe(statSync(at('from/model.safetensors')).ino);
  }
  // one that is removed takes nothing from the other
  rmSync(at('from'), { recursive: true });
  expect(readFileSync(at('to/model.safetensors'), 'utf8')).toBe('new');
});

it('says after which step it was trained', () => {
  mkdirSync(at('result'));
  expect(trainedMoment(at('result'))).toBeNull();
  const tensor = { name: 'w', dtype: 'F32' as const, shape: [1], data: new Float32Array(1) };
  writeSafetensors(at('result/model.safetensors'), [tensor], momentMetadata({ step: 12, heldOut: 0.5, evalData: 'ab' }));
  expect(trainedMoment(at('result'))).toEqual({ step: 12, heldOut: 0.5, evalData: 'ab' });
  writeSafetensors(at('result/model.safetensors'), [tensor], momentMetadata({ step: 3, heldOut: null, evalData: null }));
  expect(trainedMoment(at('result'))).toEqual({ step: 3, heldOut: null, evalData: null });
  writeSafetensors(at('result/model.safetensors'), [tensor]);
  expect(trainedMoment(at('result'))).toBeNull();
});

it.each<[string, readonly string[], string, string]>([
  ['a run', ['run/metrics.jsonl', 'run/result/model.safetensors', 'run/model/model.safetensors'], 'run', 'run/result'],
  ['a run of an adapter', ['run/metrics.jsonl', 'run/result/adapter_model.safetensors'], 'run', 'run/result'],
  ['a run of an earlier version', ['run/metrics.jsonl', 'run/adapter/adapter_model.safetensors'], 'run', 'run/adapter'],
  [
    'a run that was killed before it had a result',
    ['run/config.yaml', 'run/checkpoints/step-00000002/result/model.safetensors', 'run/checkpoints/step-00000001/result/model.safetensors'],
    'run',
    'run/checkpoints/step-00000002/result',
  ],
  ['a run that has trained nothing', ['run/metrics.jsonl'], 'run', 'run'],
  ['a checkpoint', ['c/state.json', 'c/result/model.safetensors'], 'c', 'c/result'],
  ['a model with a folder of that name', ['m/config.json', 'm/result/model.safetensors'], 'm', 'm'],
  ['what a run trained', ['run/metrics.jsonl', 'run/best/model.safetensors'], 'run/best', 'run/best'],
])('lies for %s', (_, held, given, expected) => {
  for (const name of held) write(name);
  expect(trainedIn(at(given))).toBe(at(expected));
  expect(existsSync(trainedIn(at(given)))).toBe(true);
});
