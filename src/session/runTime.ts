/** @file The time that a run is expected to take, before anything of it has run: its FLOPs by the speed of a product on the device. */

import { kindTraits } from '../codegen/kernel/device.ts';
import { createDropPlan, type DropPlan } from '../dropbp/plans/index.ts';
import { boundsOf, inspectionLinker, variantReport } from '../inspect/report.ts';
import type { Device } from '../runtime/device.ts';
import type { Linker } from '../runtime/link/link.ts';
import type { Program } from '../runtime/program.ts';
import type { Batch, BatchSource } from '../train/batches.ts';
import type { RunConfig } from '../train/config.ts';
import { planModel, unitsOf } from '../train/loop.ts';
import { drawPattern } from '../train/patterns.ts';
import type { RunLength } from '../train/runLength.ts';
import { skipsBackward } from '../train/step.ts';
import { matmulGflops } from './roof.ts';

/** What of a run its FLOPs depend on. */
export type RunWork = Pick<RunConfig, 'drop' | 'seed' | 'accumulate' | 'allDropped'>;

/** Micro-batches that are looked at, over the whole run. */
const LOOKED_AT = 16;

/** FLOPs of a micro-batch as it was drawn. Where rates are yet to be measured, all units count as dropped: that is the least. */
function microFlops(program: Program, linker: Linker, plan: DropPlan, { seed, accumulate, allDropped }: RunWork, index: number, { sizes }: Batch): number {
  const units = unitsOf({ program });
  const moment = { seed, step: Math.floor(index / accumulate), micro: index % accumulate, microBatches: accumulate };
  const draw = plan.measure ? { dropped: units } : plan.draw(moment);
  const variant = linker.link(drawPattern(draw), { forwardOnly: skipsBackward(allDropped, draw, units.length) });
  const { forwardFlops, backwardFlops } = variantReport(program, variant, { dropped: [], remat: [], skipped: [] }, { ...boundsOf(program), ...sizes });
  return forwardFlops + backwardFlops;
}

/** The FLOPs of a run's steps, told from some of its micro-batches: their sizes, and what is dropped in them. @throws EbbError for a drop plan that does not fit the model */
export function runFlops(program: Program, config: RunWork, { steps, microBatches }: RunLength, source: Pick<BatchSource, 'at'>): number {
  const plan = createDropPlan(config.drop, planModel({ program }, steps));
  const linker = inspectionLinker(program);
  const count = Math.min(LOOKED_AT, microBatches);
  const looked = Array.from({ length: count }, (_, i) => Math.floor((i * microBatches) / count));
  const flops = looked.reduce((sum, index) => sum + microFlops(program, linker, plan, config, index, source.at(index)), 0);
  return count === 0 ? 0 : (flops / count) * microBatches;
}

/** Rows of the matrices that are multiplied: enough to fill a device. */
const [CPU_ROWS, GPU_ROWS] = [512, 2048];
/** The most that products gain where operands are rounded to f16 (3.6 on an H200). */
const F16_GAIN = 4;

/** The milliseconds in which a device does so many FLOPs at the speed of its products; where f16 may speed these up, as much as it ever does. */
export async function expectedMs(device: Device, flops: number, precision: RunConfig['matmulPrecision']): Promise<number> {
  const gflops = await matmulGflops(device, kindTraits(device.profile).lanesInTurn ? CPU_ROWS : GPU_ROWS);
  return flops / (gflops * (precision === 'f16' ? F16_GAIN : 1)) / 1e6;
}
