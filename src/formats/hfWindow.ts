/** @file The fields of config.json that say how far back attention looks: sliding_window, and what switches it on and off. */

import { type FieldsOf, field } from './hfConfig.ts';
import { refuseField } from './hfConfigFields.ts';

/** The fields that hold the window of attention. `sliding_window` of 0 is none. */
export const windowFields = {
  sliding_window: field.whole.min(0).nullish(),
  use_sliding_window: field.flag.nullish(),
  layer_types: field.names.nullish(),
  max_window_layers: field.whole.nullish(),
};

type WindowFields = FieldsOf<typeof windowFields> & { readonly num_hidden_layers?: number };

const KINDS = { whole: 'full_attention', sliding: 'sliding_attention' } as const;

/**
 * How many keys a query sees at most, itself included, of a model whose layers all see equally far. Null: all keys before it.
 * @param otherwise the reference's window where the file names none
 * @throws EbbError where the fields contradict each other, or layers differ
 */
export function readWindow(where: string, raw: WindowFields, otherwise: number | null): number | null {
  const { sliding_window: given = otherwise, use_sliding_window: used, layer_types: kinds, max_window_layers: first } = raw;
  const window = used === false || given === 0 ? null : given;
  if (window !== null && typeof first === 'number') refuseField(where, 'max_window_layers', first, `none, since sliding_window is ${window} for all layers`);
  if (kinds && raw.num_hidden_layers !== undefined && kinds.length !== raw.num_hidden_layers)
    refuseField(where, 'layer_types', kinds, `a list of ${raw.num_hidden_layers}, as num_hidden_layers says`);
  const expected = window === null ? KINDS.whole : KINDS.sliding;
  const other = kinds?.find((kind) => kind !== expected);
  if (other !== undefined)
    refuseField(where, 'layer_types', other, `${expected} in every layer, since sliding_window is ${window === null ? 'off' : window} for all of them`);
  return window;
}
