/** @file Where the files of a folder disagree on how a text begins and ends. */

import type { Json, JsonObject } from '../formats/json.ts';
import { vocabularyOf } from './checkJson.ts';
import { frameOf } from './framing.ts';
import type { Settled } from './sideTokens.ts';
import { tokenName } from './templates.ts';

/** The files that name the ends of texts beside the tokenizer's: config.json and generation_config.json. */
export interface EndFiles {
  readonly model: JsonObject;
  readonly generation: JsonObject;
}

const idsIn = (value: Json | undefined): readonly number[] => [value ?? []].flat().filter((id): id is number => typeof id === 'number');

/** What add_bos_token and add_eos_token say against the post-processor, which transformers follows. */
function frameNotes(path: string, config: JsonObject, puts: Readonly<Record<'bos' | 'eos', boolean>>): readonly string[] {
  return (['bos', 'eos'] as const).flatMap((which) => {
    const wanted = config[`add_${which}_token`];
    if (typeof wanted !== 'boolean' || wanted === puts[which]) return [];
    const place = which === 'bos' ? 'before' : 'behind';
    const token = tokenName(config[`${which}_token`]) ?? `${which}_token`;
    const found = `tokenizer.json puts ${puts[which] ? token : `no ${token}`} ${place} a text`;
    const trained = which === 'eos' ? '; what is trained on ends with the eos_token all the same' : '';
    return [`${path}: add_${which}_token is ${wanted} in tokenizer_config.json, and ${found}: tokenizer.json is followed, as transformers does${trained}`];
  });
}

/** What config.json and generation_config.json call an end against the tokenizer's, and ids that are no tokens. */
function idNotes(path: string, end: string | null, { model, generation }: EndFiles, vocabulary: ReadonlyMap<string, number>): readonly string[] {
  const tokens = new Map([...vocabulary].map(([token, id]) => [id, token]));
  const own = end === null ? undefined : vocabulary.get(end);
  return Object.entries({ 'config.json': model, 'generation_config.json': generation }).flatMap(([file, fields]) => {
    const ids = idsIn(fields['eos_token_id']);
    const none = ids.filter((id) => !tokens.has(id));
    const named = ids.map((id) => `${id} (${tokens.has(id) ? JSON.stringify(tokens.get(id)) : 'no token'})`).join(', ');
    if (ids.length > 0 && own !== undefined && !ids.includes(own))
      return [
        `${path}: eos_token_id is ${named} in ${file}, and the tokenizer's eos_token is ${JSON.stringify(end)} (${own}): sequences are ended by the tokenizer's, and generation stops at each of them`,
      ];
    return none.length === 0 ? [] : [`${path}: eos_token_id in ${file} is ${named}, and the tokenizer has no token ${none.join(', ')}: nothing ends there`];
  });
}

/** Says where the files disagree on how a text begins and ends. @param path begins every note @throws EbbError for a post-processor that frames no text */
export function endNotes(path: string, { json }: Pick<Settled, 'json'>, config: JsonObject, files: EndFiles): readonly string[] {
  const vocabulary = vocabularyOf(json);
  const { prefix, suffix } = frameOf(`${path}/tokenizer.json`, json['post_processor']);
  const idOf = (key: string): number | undefined => vocabulary.get(tokenName(config[key]) ?? '');
  const [bos, eos] = [idOf('bos_token'), idOf('eos_token')];
  const puts = { bos: bos !== undefined && prefix.includes(bos), eos: eos !== undefined && suffix.includes(eos) };
  return [...frameNotes(path, config, puts), ...idNotes(path, tokenName(config['eos_token']), files, vocabulary)];
}
