/** @file Work that does nothing, from a run's own draws: what is refused, what is counted, and what is not idle. */

import { compileModel } from '../../src/compile/compile.ts';
import { createDropPlan, type DropPlanConfig } from '../../src/dropbp/plans/index.ts';
import { parseConfig } from '../../src/train/config.ts';
import { idleWork } from '../../src/train/idleWork.ts';
import { planModel } from '../../src/train/loop.ts';
import { messageOf } from '../formats/fixtureFolder.ts';
import { CPU_DEVICE, tinyModel } from '../support/tinyModels.ts';

const compiled = (lora: boolean) => compileModel(tinyModel({ lora }), { device: CPU_DEVICE, optimizers: ['adamw'] }).program;
const programs = { lora: compiled(true), full: compiled(false) };
const units = planModel({ program: programs.lora }, 1).units;

function work(trains: keyof typeof programs, drop: DropPlanConfig, change: object = {}, steps = 10): readonly string[] {
  const program = programs[trains];
  const config = parseConfig({ model: 'm', data: 'd', ...change }, 'x');
  return idleWork(config, program, createDropPlan(drop, planModel({ program }, steps)), { steps, microBatches: steps * config.accumulate });
}
const all: DropPlanConfig = { kind: 'uniform', rate: 1 };
const half: DropPlanConfig = { kind: 'fixed', patterns: [[...units], [...units], [...units], []] };

it.each([
  ['lora', all, {}, 'all units are dropped in each of 10 steps, and nothing that is trained lies above them; drop less'],
  ['lora', { kind: 'layerdrop', rate: 1 }, {}, 'no step of the run updates anything'],
  ['lora', all, { missingGrad: 'zeros' }, 'no step of the run updates anything'],
  ['full', all, { allDropped: 'skip' }, 'and allDropped is skip'],
] as const)('%s with %j and %j is refused', (trains, drop, change, words) => {
  expect(messageOf(() => work(trains, drop, change))).toContain(words);
});

it.each([
  ['full', all, {}, []],
  ['lora', { kind: 'none' }, {}, []],
  ['lora', { kind: 'uniform', rate: 0.5, sampling: 'fixed-budget' }, {}, []],
  ['lora', half, {}, ['8 of 10 steps update nothing: all units are dropped in them; a lower drop rate makes them fewer']],
  ['lora', half, { missingGrad: 'zeros' }, ['8 of 10 steps compute no gradient: all units are dropped in them; a lower drop rate makes them fewer']],
  ['lora', half, { accumulate: 2 }, ['5 of 10 steps update nothing: all units are dropped in them; a lower drop rate makes them fewer']],
  ['lora', half, { accumulate: 4 }, []],
  ['full', { kind: 'none' }, { optimizer: { lr: 0 }, warmupSteps: 20 }, ['optimizer.lr is 0, so no step changes a weight']],
  ['full', { kind: 'none' }, { warmupSteps: 10 }, ['warmupSteps is 10 and the run has 10 steps, so the learning rate never rises to optimizer.lr (0.0001)']],
  ['full', { kind: 'none' }, { warmupSteps: 9 }, []],
] as const)('%s with %j and %j: %j', (trains, drop, change, expected) => {
  expect(work(trains, drop as DropPlanConfig, change)).toEqual(expected);
});
