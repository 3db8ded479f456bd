/**
 * @file How much the gradients of a model depend on the backward of each unit (DropBP, arXiv 2402.17812, §3.3, and
 * `sensitivity_based_drop_bp` of its code, github.com/WooSunghyeon/dropbp).
 */

import { invariant } from '../errors.ts';

/** Norms of gradients by parameter. A parameter that gets no gradient is absent. */
export type GradientNorms = ReadonlyMap<number, number>;

/** Norms with nothing dropped and with each unit dropped alone. */
export interface DropNorms {
  /** Norms of the gradients with nothing dropped. */
  readonly whole: GradientNorms;
  /**
   * By the unit that is dropped alone: norms of the gradients of the parameters below it; or, where differences were measured, norms of what
   * dropping the unit takes away from those gradients.
   */
  readonly dropped: ReadonlyMap<string, GradientNorms>;
}

/** Which calls use which parameters. */
export interface ParameterUsers {
  /** Names of the calls in the order they run. */
  readonly calls: readonly string[];
  /** By parameter: indices in `calls`. */
  readonly users: ReadonlyMap<number, ReadonlySet<number>>;
}

/**
 * The sensitivity of each unit, in the order of `units`: Σ over parameters of (‖g‖ − ‖g′‖)² for `norms` (the reference code's
 * `gradnorm=True`), of ‖g − g′‖² for `differences` (`gradnorm=False`). g is the full gradient, g′ the gradient with the unit dropped; an
 * absent gradient counts as 0. A unit without a backward has the sensitivity 0.
 */
export function sensitivities(
  units: readonly string[],
  { whole, dropped }: DropNorms,
  kind: 'norms' | 'differences',
  { calls, users }: ParameterUsers,
): number[] {
  return units.map((unit) => {
    const below = dropped.get(unit);
    if (!below) return 0;
    const place = calls.indexOf(unit);
    invariant(place >= 0, `unit ${unit} is no call of the model`);
    // dropping a unit changes nothing above it
    const changed = [...users].filter(([, by]) => [...by].some((call) => call <= place));
    return changed.reduce((sum, [param, by]) => {
      const full = whole.get(param) ?? 0;
      const other = below.get(param) ?? 0;
      if (kind === 'norms') return sum + (full - other) ** 2;
      // the unit's own parameters lose their whole gradient
      return sum + (by.has(place) ? full : other) ** 2;
    }, 0);
  });
}
