/** @file Units by layer: `layers.3.attn` and `layers.3.mlp` belong to `layers.3`. */

/** The layer of a unit: its name up to the last number in it. A unit whose name has no number is a layer of its own. */
function layerOf(unit: string): string {
  const parts = unit.split('.');
  const last = parts.findLastIndex((part) => /^\d+$/.test(part));
  return last < 0 ? unit : parts.slice(0, last + 1).join('.');
}

/** The units of each layer, in the order of the model. */
export function layersOf(units: readonly string[]): readonly (readonly string[])[] {
  const layers = new Map<string, string[]>();
  for (const unit of units) layers.set(layerOf(unit), [...(layers.get(layerOf(unit)) ?? []), unit]);
  return [...layers.values()];
}
