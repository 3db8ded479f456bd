/** @file PEFT settings: patterns, targets, and everything refused by name. */

import type { JsonObject } from '../../src/formats/json.ts';
import { targetModulesFor } from '../../src/formats/peft.ts';
import { layerAdapter, readPeftConfig, targets } from '../../src/formats/peftConfig.ts';
import { idleSettings } from '../../src/formats/peftNotes.ts';
import { messageOf } from './fixtureFolder.ts';

const base: JsonObject = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'] };
const read = (change: JsonObject = {}) => readPeftConfig('adapter_config.json', { ...base, ...change });

it.each<[JsonObject, string]>([
  [{ peft_type: 'IA3' }, 'peft_type is "IA3"'],
  [{ use_dora: true }, 'use_dora is true'],
  [{ bias: 'all' }, 'bias is "all"'],
  [{ modules_to_save: ['lm_head'] }, 'modules_to_save is ["lm_head"]'],
  [{ layer_replication: [[0, 2]] }, 'layer_replication'],
  [{ trainable_token_indices: [1] }, 'trainable_token_indices'],
  [{ init_lora_weights: 'pissa' }, 'init_lora_weights is "pissa"'],
  [{ use_something_new: true }, 'use_something_new is true'],
  [{ r: 0 }, 'r is 0'],
  [{ lora_alpha: 'x' }, 'lora_alpha is "x"'],
  [{ target_modules: null }, 'target_modules is null'],
  [{ rank_pattern: { q_proj: 1.5 } }, 'rank_pattern.q_proj is 1.5'],
  [{ target_modules: '.*_proj', layers_to_transform: [0] }, 'layers_to_transform is [0], expected none beside a target_modules that is one text'],
  [{ target_modules: 'all-linear', layers_pattern: 'layers' }, 'layers_pattern is "layers"'],
  [{ layers_pattern: ['layers'] }, 'expected none without layers_to_transform'],
])('refuses %j by name', (change, message) => {
  expect(messageOf(() => read(change))).toContain(message);
});

it('gives ranks and scales by pattern, rsLoRA by the root', () => {
  const config = read({ rank_pattern: { 'layers.0.*q_proj': 16 }, alpha_pattern: { v_proj: 2 } });
  expect(layerAdapter('f', config, 'model.layers.0.self_attn.q_proj')).toEqual({ rank: 16, scale: 0.5 });
  expect(layerAdapter('f', config, 'model.layers.1.self_attn.q_proj')).toEqual({ rank: 4, scale: 2 });
  expect(layerAdapter('f', config, 'model.layers.1.self_attn.v_proj')).toEqual({ rank: 4, scale: 0.5 });
  expect(layerAdapter('f', read({ use_rslora: true }), 'x').scale).toBe(4);
});

it.each<[JsonObject, readonly string[]]>([
  [{}, []],
  [{ task_type: 'CAUSAL_LM', exclude_modules: ['layers.1.self_attn.q_proj'], rank_pattern: { q_proj: 4 }, layers_to_transform: [0] }, []],
  [{ target_modules: '.*_proj', exclude_modules: '.*nothing' }, []],
  [{ target_modules: ['q_proj', 'qproj'] }, ['target_modules names "qproj", which no layer of the adapter is: not used']],
  [{ layers_to_transform: [0, 7] }, ['layers_to_transform names 7, which no layer of the adapter is: not used']],
  [{ rank_pattern: { 'self_attn.q': 2 }, alpha_pattern: { k_proj: 2 } }, ['rank_pattern names "self_attn.q", which', 'alpha_pattern names "k_proj", which']],
  [{ exclude_modules: ['o_proj', 'head'] }, ['exclude_modules names "o_proj", "head", which target_modules does not name: it excludes nothing']],
  [{ task_type: 'SEQ_CLS' }, ['task_type is "SEQ_CLS"; its matrices are used as those of a CAUSAL_LM']],
])('says what of %j does nothing', (change, said) => {
  const found = idleSettings('f', read({ target_modules: ['q_proj'], ...change }), ['model.layers.0.self_attn.q_proj']);
  expect(found).toEqual(said.map((text) => expect.stringContaining(`adapter_config.json: ${text}`)));
});

it('finds targets by suffix, regular expression and layer', () => {
  const q1 = 'model.layers.1.self_attn.q_proj';
  expect(targets('f', read(), q1)).toBe(true);
  expect(targets('f', read(), 'model.layers.1.self_attn.o_proj')).toBe(false);
  expect(targets('f', read({ layers_to_transform: [0] }), q1)).toBe(false);
  expect(targets('f', read({ target_modules: '.*\\.1\\..*_proj' }), q1)).toBe(true);
  expect(targets('f', read({ target_modules: 'q_proj' }), q1)).toBe(false);
  expect(messageOf(() => targets('f', read({ target_modules: '(' }), q1))).toContain('not a regular expression');
});

it('leaves out what is excluded, and finds the layer by its number, as peft does', () => {
  const q = (layer: number, rest = 'self_attn.q_proj'): string => `model.layers.${layer}.${rest}`;
  expect(targets('f', read({ exclude_modules: ['layers.1.self_attn.q_proj'] }), q(1))).toBe(false);
  expect(targets('f', read({ exclude_modules: ['layers.1.self_attn.q_proj'] }), q(0))).toBe(true);
  expect(targets('f', read({ exclude_modules: '.*\\.1\\..*' }), q(1))).toBe(false);
  expect(targets('f', read({ layers_to_transform: [] }), q(1))).toBe(true);
  expect(targets('f', read({ layers_to_transform: 1 }), q(1, 'experts.0.q_proj'))).toBe(true);
  expect(targets('f', read({ layers_to_transform: 1 }), 'q_proj')).toBe(false);
  expect(targets('f', read({ layers_to_transform: [0], layers_pattern: 'experts' }), q(1, 'experts.0.q_proj'))).toBe(true);
  expect(targets('f', read({ target_modules: 'ALL-linear', exclude_modules: ['q_proj'] }), q(1))).toBe(false);
  expect(targets('f', read({ target_modules: 'ALL-linear' }), q(1, 'mlp.up_proj'))).toBe(true);
});

it('writes the shortest names that target exactly the layers', () => {
  const all = ['layers.0.q_proj', 'layers.0.v_proj', 'layers.1.q_proj', 'layers.1.v_proj'];
  expect(targetModulesFor(['layers.0.q_proj', 'layers.1.q_proj'], all)).toEqual(['q_proj']);
  expect(targetModulesFor(['layers.0.q_proj'], all)).toEqual(['layers.0.q_proj']);
});
