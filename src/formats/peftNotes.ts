/** @file What of an adapter_config.json does nothing: names that no layer has, and settings of another task. peft ignores it too; here it is said. */

import { isNamed, layerNumber, onAllLinear, type PeftConfig, patternMatches } from './peftConfig.ts';

/** Whether two ends of names may end one name: one is an end of the other, at a dot. */
const together = (a: string, b: string): boolean => a === b || a.endsWith(`.${b}`) || b.endsWith(`.${a}`);

const quoted = (names: readonly (string | number)[]): string => names.map((name) => JSON.stringify(name)).join(', ');

/** Names of a list that are no layer's. */
function idleNames(where: string, names: readonly string[] | string, layers: readonly string[]): readonly string[] {
  return typeof names === 'string' ? [] : names.filter((name) => !layers.some((layer) => isNamed(where, [name], layer)));
}

/** Names of exclude_modules that can exclude nothing, as target_modules names nothing that is called so. */
function idleExclusions(config: PeftConfig): readonly string[] {
  const { excludeModules: excluded, targetModules: targeted } = config;
  if (typeof excluded === 'string' || typeof targeted === 'string') return [];
  return excluded.filter((name) => !targeted.some((target) => together(name, target)));
}

/**
 * What of the settings does nothing, in words.
 * @param where the file
 * @param layers the layers that the adapter has matrices for, which are all that its settings name
 */
export function idleSettings(where: string, config: PeftConfig, layers: readonly string[]): readonly string[] {
  const { layersToTransform, layersPattern, rankPattern, alphaPattern, taskType } = config;
  const numbers = new Set(layers.map((layer) => layerNumber(where, layersPattern, layer)));
  const idle: Readonly<Record<string, readonly (string | number)[]>> = {
    target_modules: onAllLinear(config) ? [] : idleNames(where, config.targetModules, layers),
    layers_to_transform: (layersToTransform ?? []).filter((number) => !numbers.has(number)),
    rank_pattern: Object.keys(rankPattern).filter((pattern) => !layers.some((layer) => patternMatches(where, pattern, layer))),
    alpha_pattern: Object.keys(alphaPattern).filter((pattern) => !layers.some((layer) => patternMatches(where, pattern, layer))),
  };
  const exclusions = idleExclusions(config);
  const task = taskType === null || taskType === 'CAUSAL_LM' ? [] : [`task_type is ${JSON.stringify(taskType)}; its matrices are used as those of a CAUSAL_LM`];
  return [
    ...Object.entries(idle).flatMap(([field, names]) =>
      names.length === 0 ? [] : [`${field} names ${quoted(names)}, which no layer of the adapter is: not used`],
    ),
    ...(exclusions.length === 0 ? [] : [`exclude_modules names ${quoted(exclusions)}, which target_modules does not name: it excludes nothing`]),
    ...task,
  ].map((text) => `adapter_config.json: ${text}`);
}
