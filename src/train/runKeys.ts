/** @file The keys of a run file as a JSON Schema: what editors complete, and what `--help` says of a key. */

import { z } from 'zod';
import { type KeySchema, schemasAt } from '../issues.ts';
import { runSchema } from './config.ts';

/** The JSON Schema of a run file (draft 7, which editors of YAML read). Every key that has a default may be left out. */
export function runJsonSchema(): object {
  return { title: 'A run of Ebb', ...z.toJSONSchema(runSchema, { io: 'input', target: 'draft-7' }) };
}

/** Describes keys such as `optimizer.lr`. The function throws for a key that a run file does not have, which is a defect of Ebb. */
export function keyDescriptions(): (key: string) => string {
  const schema = runJsonSchema() as KeySchema;
  return (key) => {
    const description = schemasAt(schema, key.split('.')).find((found) => found.description !== undefined)?.description;
    if (description === undefined) throw new Error(`internal: a run file has no key ${key} with a description`);
    return description;
  };
}
