/** @file The error a person reads: one sentence that names the file, the field, what was found and what was expected. */

/** An error whose message is meant for the person at the keyboard; the command line prints it without a stack. */
export class EbbError extends Error {
  override readonly name: string = 'EbbError';
}

/** Throws when an assumption inside the library does not hold: a defect of Ebb's, not of the input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal: ${message} (this is a defect in Ebb; please report it)`);
}
