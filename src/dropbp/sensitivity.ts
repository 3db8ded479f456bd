/**
 * @file How much the gradients of a model depend on the backward of each unit (DropBP, arXiv 2402.17812, §3.3, and its code's
 * `sensitivity_based_drop_bp`).
 */

/** Norms of gradients by parameter; a parameter that gets none is absent. */
export type GradientNorms = ReadonlyMap<number, number>;

export interface Measured {
  /** With nothing dropped. */
  readonly whole: GradientNorms;
  /** With one unit dropped: of what lies below it. With `differences`: of what dropping it takes away from those. */
  readonly dropped: ReadonlyMap<string, GradientNorms>;
}

/** Where parameters are used: indices of calls, in the order they run. */
export interface Layout {
  readonly calls: readonly string[];
  readonly users: ReadonlyMap<number, ReadonlySet<number>>;
}

/**
 * Σ over parameters of (‖g‖ − ‖g′‖)², g′ with the unit dropped (the reference's `gradnorm=True`), or of ‖g − g′‖² when differences were
 * measured (`gradnorm=False`); an absent gradient counts as 0. One number a unit, in the order of `units`; 0 for units without a backward.
 */
export function sensitivities(units: readonly string[], { whole, dropped }: Measured, kind: 'norms' | 'differences', { calls, users }: Layout): number[] {
  return units.map((unit) => {
    const below = dropped.get(unit);
    const at = calls.indexOf(unit);
    if (!below) return 0;
    let sum = 0;
    for (const [param, by] of users) {
      // above the unit nothing changes
      if ([...by].every((call) => call > at)) continue;
      const g = whole.get(param) ?? 0;
      const other = below.get(param);
      sum += kind === 'differences' ? (by.has(at) ? g : (other ?? 0)) ** 2 : (g - (other ?? 0)) ** 2;
    }
    return sum;
  });
}
