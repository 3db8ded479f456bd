/** @file Errors: one for people, whose message names the file, the field, what was found and what was expected; and checks of what Ebb itself relies on. */

/**
 * What an error is about, for programs: `file` a file that cannot be read or written, `config` the configuration of a run, `definition` a
 * model's definition, `device` the device, `run` a run's folder, `numbers` a loss or result that is no number, `input` everything else that was given.
 */
export type EbbErrorCode = 'file' | 'config' | 'definition' | 'device' | 'run' | 'numbers' | 'input';

/** An error whose message is meant for a person, and whose code is meant for a program. The command line prints it without a stack. */
export class EbbError extends Error {
  override readonly name: string = 'EbbError';
  readonly code: EbbErrorCode;

  constructor(message: string, code: EbbErrorCode = 'input') {
    super(message);
    this.code = code;
  }
}

/** Whether an error says that a loss or a result is no number. */
export const isOfNumbers = (error: unknown): error is EbbError => error instanceof EbbError && error.code === 'numbers';

// Who is spoken to is one for a whole process, and messages are made in all rooms, so this is state of the module.
let spell = (name: string): string => name;

/** The name of an option in a message, as its reader writes it: `dropRate` in a program, `--drop-rate` on a command line. */
export const option = (name: string): string => spell(name);

/** The flag of an option on a command line. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** From here on messages name options by their flags. A command line calls it when it starts. */
export function speakInFlags(): void {
  spell = flagOf;
}

/** Checks an assumption of Ebb's own code. @throws Error where it does not hold, which is a defect of Ebb and not of its input */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal: ${message} (this is a defect in Ebb; please report it)`);
}

/** Returns the element of `list` at `index`; a negative index counts from the end. @throws Error where there is none, which is a defect of Ebb and not of its input */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const element = list[index < 0 ? index + list.length : index];
  if (element === undefined) throw new Error(`internal: no element ${index} in a list of ${list.length} (this is a defect in Ebb; please report it)`);
  return element;
}

/** Returns the value of `map` under `key`. @throws Error where there is none, which is a defect of Ebb and not of its input */
export function get<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`internal: nothing is stored under ${String(key)} (this is a defect in Ebb; please report it)`);
  return value;
}
