/** @file The error a person reads, which names the file, the field, what was found and what was expected; and checks of what Ebb itself relies on. */

/** An error whose message is meant for the person at the keyboard; the command line prints it without a stack. */
export class EbbError extends Error {
  override readonly name: string = 'EbbError';
}

/** Throws when an assumption inside the library does not hold: a defect of Ebb's, not of the input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal: ${message} (this is a defect in Ebb; please report it)`);
}

/** The element at `index` (from the end where it is negative). Throws where there is none: a defect of Ebb's, never an input's. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const element = list[index < 0 ? index + list.length : index];
  if (element === undefined) throw new Error(`internal: no element ${index} in a list of ${list.length} (this is a defect in Ebb; please report it)`);
  return element;
}
