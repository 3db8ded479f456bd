/** @file A record before anything is made of it. */

import type { JsonObject } from '../formats/json.ts';

/** A record as it lies in a file. */
export interface RawRecord {
  /** Where, for errors: the file, and the line or the number of the record in it. */
  readonly where: string;
  readonly fields: JsonObject;
  /** Whether every value is a text, as in a table. */
  readonly isTable?: boolean;
}
