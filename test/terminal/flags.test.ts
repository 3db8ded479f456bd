/** @file The flags of a run: keys over those of a run file, and what two flags may not both set. */

import { Command } from 'commander';
import { addModelFlags, addRunFlags, type RunFlags, runInput } from '../../src/terminal/flags.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

/** The keys of a run by a command line, over those of a run file. */
function keysOf(args: readonly string[], fromFile = {}): Record<string, unknown> {
  const command = addRunFlags(addModelFlags(new Command('train').exitOverride().configureOutput({ writeErr: () => {} })));
  command.parse([...args], { from: 'user' });
  return runInput(fromFile, command.opts<RunFlags>());
}

it.each<[string, object, object]>([
  ['--epochs 2 --schedule cosine --warmup-steps 5', {}, { epochs: 2, schedule: 'cosine', warmupSteps: 5 }],
  ['--rank 4', { lora: true }, { lora: { rank: 4 } }],
  ['--rank 4', { lora: { alpha: 2 } }, { lora: { rank: 4, alpha: 2 } }],
  ['--lora', { lora: { alpha: 2 } }, { lora: { alpha: 2 } }],
  ['--lora', {}, { lora: true }],
  ['--lora-layers *.q_proj,*.v_proj --lora-layers *.o_proj', {}, { lora: { layers: ['*.q_proj', '*.v_proj', '*.o_proj'] } }],
  ['--lr 3e-4', { optimizer: { name: 'sgd', lr: 1 } }, { optimizer: { name: 'sgd', lr: 3e-4 } }],
  ['--lr 3e-4', {}, { optimizer: { lr: 3e-4 } }],
  ['--set optimizer.eps=1e-6 --set shuffle=false', {}, { optimizer: { eps: 1e-6 }, shuffle: false }],
  ['--set drop={kind: last-k, units: 3}', {}, { drop: { kind: 'last-k', units: 3 } }],
  ['--drop-rate 0.5', { drop: { kind: 'fixed' } }, { drop: { kind: 'uniform', rate: 0.5 } }],
  ['--drop-rate 0', {}, { drop: { kind: 'none' } }],
  ['--device gpu', { device: 'lavapipe' }, { device: 'gpu' }],
  ['--adapter runs/mine', {}, { lora: { from: 'runs/mine' } }],
  ['--adapter swiftshader', {}, { device: 'swiftshader' }],
])('%s over %j', (line, fromFile, keys) => {
  jest.spyOn(process.stderr, 'write').mockImplementation(() => true);
  // Spaces inside of braces belong to a value.
  expect(keysOf(line.split(/ (?![^{]*\})/), fromFile)).toEqual(keys);
  jest.restoreAllMocks();
});

it.each([
  ['--lr 1 --set optimizer.lr=2', '--lr and --set optimizer.lr both set optimizer.lr; give one of them'],
  ['--rank 3 --set lora=true', '--rank and --set lora both set lora.rank and lora; give one of them'],
  ['--set seed=1 --set seed=2', '--set seed and --set seed both set seed; give one of them'],
  ['--drop-rate 0.5 --set drop.rate=0.2', '--drop-rate and --set drop.rate both set drop and drop.rate; give one of them'],
  ['--eval-every 3', '--eval-every: there is no held-out data to evaluate; give --eval-data, or leave --eval-every out'],
  ['--set evalLimit=3', '--set evalLimit: there is no held-out data to evaluate; give --eval-data, or leave --set evalLimit out'],
])('%s is refused', (line, message) => {
  expect(messageOf(() => keysOf(line.split(' ')))).toBe(message);
});

it.each([
  ['--set seed', 'expected a key, = and a value'],
  ['--set seed={', 'the value of seed is no YAML'],
  ['--steps x', 'expected a number'],
])('%s is no value', (line, message) => {
  expect(() => keysOf(line.split(' '))).toThrow(message);
});
