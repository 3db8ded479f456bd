/** @file The fields of records that Ebb knows, and what they may be called otherwise. */

import { z } from 'zod';

/** The fields of records, by the names that they have without a word about it. */
export const FIELDS = ['text', 'prompt', 'completion', 'question', 'answer', 'messages', 'conversations', 'instruction', 'input', 'output', 'system'] as const;
export type FieldName = (typeof FIELDS)[number];

/** What fields are called in records, where they have other names than these. */
export type FieldNames = { readonly [name in FieldName]?: string | undefined };

/** The key `fields` of a run. */
export const fieldNames = z.strictObject(
  Object.fromEntries(FIELDS.map((name) => [name, z.string().optional()])) as { readonly [name in FieldName]: z.ZodOptional<z.ZodString> },
);
