/** @file Names of units in what a person wrote. */

import { EbbError } from '../errors.ts';

/** A message lists all units of a model that has at most this many, and the first four of a larger one. */
const LISTED = 16;

/**
 * Checks that `named` are units of the model.
 * @param where the key or option that names them, for the message
 * @throws EbbError naming the first of `named` that is no unit, and the units there are
 */
export function checkUnits(named: readonly string[], units: readonly string[], where: string): void {
  const unknown = named.find((u) => !units.includes(u));
  if (unknown === undefined) return;
  const known = units.length > LISTED ? `${units.slice(0, 4).join(', ')}, … (${units.length} units)` : units.join(', ') || 'no units';
  throw new EbbError(`${where}: unknown unit ${unknown}; the model has ${known}`);
}
