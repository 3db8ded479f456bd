import { deepStrictEqual, throws } from 'node:assert';
import { createDropPlan } from '../src/dropbp/plans/index.ts';
import { parseConfig } from '../src/train/config.ts';

const run = { model: 'm', data: 'd', steps: 1, optimizer: { name: 'adamw', lr: 1 } };
const { drop } = parseConfig({ ...run, drop: { kind: 'every-other' } }, 'run.yaml');
const plan = createDropPlan(drop, { units: ['a', 'b', 'c'], costs: [1, 1, 1], steps: 4, scaled: false });
const at = (step: number) => plan.draw({ seed: 0, step, micro: 0, microBatches: 1 }).dropped;
deepStrictEqual([at(0), at(1), at(2)], [['b'], ['a', 'c'], ['b']]);
throws(() => parseConfig({ ...run, drop: { kind: 'every-other', turns: 0 } }, 'run.yaml'), /drop\.turns: .*a whole number, 1 or more/);
