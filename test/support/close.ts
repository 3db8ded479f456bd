/** @file Compares arrays of floats, saying where they differ most. */

/** Fails unless |got − wanted| ≤ tolerance · (1 + |wanted|) everywhere; NaN never passes. */
export function expectClose(got: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number, what: string): void {
  if (got.length !== wanted.length) throw new Error(`${what}: ${got.length} values, expected ${wanted.length}`);
  let worst = -1;
  let error = tolerance;
  for (let i = 0; i < wanted.length; i++) {
    const w = wanted[i] as number;
    const e = Math.abs((got[i] as number) - w) / (1 + Math.abs(w));
    if (!(e <= error)) {
      error = Number.isNaN(e) ? Number.POSITIVE_INFINITY : e;
      worst = i;
    }
  }
  if (worst >= 0) throw new Error(`${what}: [${worst}] is ${got[worst]}, expected ${wanted[worst]} (relative error ${error}, allowed ${tolerance})`);
}
