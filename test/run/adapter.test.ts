/** @file Whether an adapter belongs on a model: every layer that its settings name has its matrices, and its base model is the one it is put on. */

import { baseNotes, checkAdapter } from '../../src/run/adapter.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const layer = (i: number): string => `model.layers.${i}.self_attn.q_proj`;
const linear = [0, 1, 2, 3, 4].map((i) => ({ name: `${layer(i)}.weight`, shape: [8, 8], linear: 'out,in' }));
const made = linear.flatMap(({ name }) => {
  const of = name.replace(/\.weight$/, '');
  return [
    { name: `${of}.lora_A.weight`, shape: [2, 8] },
    { name: `${of}.lora_B.weight`, shape: [8, 2] },
  ];
});
const embedding = { name: 'model.embed_tokens.weight', shape: [16, 8] };
const params = [embedding, ...linear, ...made];
const shapes = (layers: readonly number[]): Map<string, readonly number[]> =>
  new Map(made.filter(({ name }) => layers.some((i) => name.startsWith(layer(i)))).map(({ name, shape }) => [name, shape]));

it('takes an adapter that has what it names, and one that names nothing of its own', () => {
  expect(() => checkAdapter({ file: 'f', shapes: shapes([0, 1, 2, 3, 4]), names: ({ name }) => name.endsWith('q_proj') }, params, 'k')).not.toThrow();
  expect(() => checkAdapter({ file: 'f', shapes: shapes([0]) }, params, 'k')).not.toThrow();
});

it('refuses one that lacks layers, and says how many', () => {
  const names = ({ name }: { readonly name: string }): boolean => name.endsWith('q_proj');
  const message = messageOf(() => checkAdapter({ file: 'f', shapes: shapes([0]), names }, params, 'k'));
  expect(message).toContain('f lacks 8 of 10 matrices, lora_A and lora_B of model.layers.1.self_attn.q_proj, ');
  expect(message).toContain('model.layers.3.self_attn.q_proj and 1 more, which target_modules');
});

it('asks for the matrices of linear layers alone where an adapter is on all of them', () => {
  expect(() => checkAdapter({ file: 'f', shapes: shapes([0, 1, 2, 3, 4]), names: (module) => module.linear }, params, 'k')).not.toThrow();
  expect(messageOf(() => checkAdapter({ file: 'f', shapes: shapes([0, 1, 2, 3, 4]), names: () => true }, params, 'k'))).toContain('model.embed_tokens');
});

it.each([
  [null, 'a/b'],
  ['', 'a/b'],
  ['a/b', 'a/b'],
  ['a/Some-Model', '/elsewhere/some-model/'],
  ['/gone/tiny/model', '/other/tiny/model'],
  ['/cache/models--a--b/snapshots/0f/', 'a/b'],
  [`${__dirname}/../run`, __dirname],
])('says nothing of an adapter made for %s on %s', (base, model) => {
  expect(baseNotes({ base }, model)).toEqual([]);
});

it.each([
  ['a/b', 'a/c'],
  ['/gone/tiny/model', '/other/large/model'],
  [`${__dirname}/..`, __dirname],
])('says that an adapter was made for %s and is put on %s', (base, model) => {
  expect(baseNotes({ base }, model)).toEqual([expect.stringContaining(`is ${base}, and the adapter is put on ${model}`)]);
});
