/** @file How often groups of parameters were updated: counted on the device, told there which groups are updated, read and written for checkpoints. */

import { at, EbbError } from '../errors.ts';
import { COLUMNS, correctionTable } from './corrections.ts';
import { COUNT_BYTES, countsLayout } from './countsLayout.ts';
import type { Device } from './device.ts';
import { bufferAt, type EngineBuffers } from './engineBuffers.ts';
import { offsetOf } from './link/address.ts';
import type { Update } from './updatePhase.ts';

export interface UpdateCounts {
  readonly optimizer: 'adamw' | 'sgd';
  /** Tells the device which groups the next submitted update is of, and what AdamW's rates make of counts. */
  prepare(update: Update, updated: readonly number[]): void;
  /** How often each group was updated. Waits for the device. */
  read(): Promise<number[]>;
  /** Sets how often each group was updated. @throws EbbError for another number of groups */
  write(counts: readonly number[]): void;
}

/** The counts of an engine's groups, in a buffer of `countsLayout`. */
export function updateCounts(device: Device, buffers: EngineBuffers, groups: number, optimizer: 'adamw' | 'sgd'): UpdateCounts {
  const layout = countsLayout(groups, optimizer);
  const buffer = bufferAt(buffers, buffers.counts);
  const start = offsetOf(buffers.counts);
  const counts = start + at(Object.values(layout.columns), 0);
  /** What the device was told last. */
  const told = new Float32Array(groups);
  let rates: readonly [number, number] | null = null;

  const tellRates = (table: number, beta1: number, beta2: number): void => {
    if (rates?.[0] === beta1 && rates[1] === beta2) return;
    device.write(buffer, start + table, correctionTable(beta1, beta2));
    rates = [beta1, beta2];
  };
  const tellUpdated = (updated: readonly number[]): void => {
    const now = new Float32Array(groups);
    for (const group of updated) now[group] = 1;
    if (now.every((flag, group) => flag === told[group])) return;
    device.write(buffer, start + layout.updated, now);
    told.set(now);
  };

  return {
    optimizer,
    prepare(update, updated) {
      if (layout.table !== null) tellRates(layout.table, update.scalar('beta1'), update.scalar('beta2'));
      tellUpdated(updated);
    },
    async read() {
      if (groups === 0) return [];
      const columns = new Float32Array(await device.read(buffer, counts, groups * COUNT_BYTES));
      return Array.from({ length: groups }, (_, group) => at(columns, group * COLUMNS));
    },
    write(given) {
      if (given.length !== groups) throw new EbbError(`the updates of ${given.length} groups were given, the engine has ${groups}`);
      const columns = new Float32Array(groups * COLUMNS);
      given.forEach((count, group) => columns.fill(count, group * COLUMNS, (group + 1) * COLUMNS));
      device.write(buffer, counts, columns);
    },
  };
}
