/** @file What a model's config.json means where it says nothing, found by asking the family's own reader: a compiled trainer knows no family, and is told. */

import { EbbError } from '../errors.ts';
import type { ConfigReader } from '../formats/hfConfig.ts';
import type { JsonObject } from '../formats/json.ts';

/** What is assumed of the fields of a config.json, as plain data. */
export interface AssumedFields {
  /** What a field means where the file leaves it out. A field that is not in here has no default. */
  readonly absent: JsonObject;
  /** What a field means where it is null. A field that is not in here may not be null. */
  readonly nulls: JsonObject;
  /** Fields that the family reads. */
  readonly read: readonly string[];
  /** Fields that the family supports at one value alone. */
  readonly only: JsonObject;
}

/** What a field means where a file has it as `change` makes it, by name; those that the reader then refuses are left out. */
function meanings(written: JsonObject, reread: (fields: JsonObject) => JsonObject, change: (fields: JsonObject, name: string) => JsonObject): JsonObject {
  return Object.fromEntries(
    Object.keys(written).flatMap((name) => {
      try {
        const found = reread(change(written, name))[name];
        return found === undefined ? [] : [[name, found]];
      } catch (error) {
        if (error instanceof EbbError) return [];
        throw error;
      }
    }),
  );
}

/**
 * Asks a family's reader about every field that its writer writes.
 * @param written the fields of a model's config.json
 * @param write the fields of a configuration that was read
 */
export function assumedFields<Config>(readConfig: ConfigReader<Config>, write: (config: Config) => JsonObject, written: JsonObject): AssumedFields {
  const reread = (fields: JsonObject): JsonObject => write(readConfig('', fields).config);
  const { read = new Set(Object.keys(written)), only = {} } = readConfig.known ?? {};
  return {
    absent: meanings(written, reread, ({ ...fields }, name) => {
      delete fields[name];
      return fields;
    }),
    nulls: meanings(written, reread, (fields, name) => ({ ...fields, [name]: null })),
    read: [...read],
    only: { ...only },
  };
}
