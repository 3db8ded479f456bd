/** @file The error that is thrown when operands or attributes break a constraint of their op. */

import { EbbError } from '../errors.ts';

/** An op that is given operands or attributes which it cannot take. Its message names the op and the constraint. */
export class OpError extends EbbError {
  override readonly name = 'OpError';

  constructor(message: string) {
    super(message, 'definition');
  }
}

/** @throws OpError `op C1: message` if `holds` is false */
export function constraint(holds: boolean, op: string, id: string, message: () => string): asserts holds {
  if (!holds) throw new OpError(`${op} ${id}: ${message()}`);
}
