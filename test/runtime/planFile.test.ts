/** @file plan.json: other formats and versions are refused by name, and a kernel that is missing too. */

import { isPlan, PLAN_FORMAT, PLAN_VERSION, type Plan, parsePlan, planProgram } from '../../src/runtime/planFile.ts';
import { PROGRAM_VERSION } from '../../src/runtime/program.ts';

const LISTS = ['dims', 'pipelines', 'functions', 'calls', 'values', 'inputs', 'states', 'params', 'results'];
const plan = {
  format: PLAN_FORMAT,
  version: PLAN_VERSION,
  program: PROGRAM_VERSION,
  about: {},
  requires: {},
  target: 'wgsl',
  updates: {},
  ...Object.fromEntries(LISTS.map((list) => [list, []])),
};
const parse = (changed: object): Plan => parsePlan(JSON.stringify({ ...plan, ...changed }), 'smol/plan.json');

it('reads this version', () => {
  expect(parse({})).toEqual(plan);
});

it.each<[object, string]>([
  [{ version: 2 }, 'smol/plan.json: version is 2, this Ebb reads 1; compile the model again with this Ebb'],
  [{ version: '1' }, 'smol/plan.json: version is "1", this Ebb reads 1; compile the model again with this Ebb'],
  // costs were polynomials of B and T, fitted at the bounds of all else
  [{ program: 4 }, 'smol/plan.json: program is 4, this Ebb reads 6; compile the model again with this Ebb'],
  [{ program: 7 }, 'smol/plan.json: program is 7, this Ebb reads 6; compile the model again with this Ebb'],
  [{ program: undefined }, 'smol/plan.json: program is undefined, this Ebb reads 6; compile the model again with this Ebb'],
  [{ format: 'onnx' }, 'smol/plan.json: format is "onnx", expected "ebb-plan"; give a folder that ebb compile wrote'],
])('refuses %j', (changed, message) => {
  expect(() => parse(changed)).toThrow(message);
});

it('refuses a plan that lacks a part, by name', () => {
  for (const list of LISTS)
    expect(() => parse({ [list]: undefined })).toThrow(`smol/plan.json: ${list} is missing, expected a list; compile the model again with this Ebb`);
  expect(() => parse({ calls: 3 })).toThrow('smol/plan.json: calls is 3, expected a list');
  expect(() => parse({ updates: null })).toThrow('smol/plan.json: updates is null, expected an object');
  expect(() => parse({ target: undefined })).toThrow('smol/plan.json: target is missing, expected a text');
  for (const text of ['null', '[]', '3']) expect(() => parsePlan(text)).toThrow('plan.json: format is undefined, expected "ebb-plan"');
});

it('knows a plan of any version by its format', () => {
  expect(isPlan(JSON.stringify({ ...plan, version: 99 }))).toBe(true);
  for (const text of ['{}', 'null', '{', '{"format":"onnx"}']) expect(isPlan(text)).toBe(false);
});

it('refuses what is no JSON, and kernels that are not there', () => {
  expect(() => parsePlan('{')).toThrow(/^plan\.json: is no JSON \(/);
  const pipelines = [{ file: 'kernels/attn.fwd.dot.wgsl' }] as unknown as Plan['pipelines'];
  expect(() => planProgram({ ...(plan as unknown as Plan), pipelines }, new Map())).toThrow(/kernel kernels\/attn\.fwd\.dot\.wgsl is missing beside it/);
});
