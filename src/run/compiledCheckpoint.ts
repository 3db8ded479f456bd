/** @file Opens a checkpoint for a model that was compiled: the plan says how checkpoints hold it, so that no family is asked. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { type Describe, openStored, type StoredCheckpoint } from '../formats/checkpoint.ts';
import type { JsonObject } from '../formats/json.ts';
import type { ExpectedTensor, Layout } from '../formats/layout.ts';
import { type CompareHead, headNotes, tieText } from '../formats/tiedHead.ts';
import type { CheckpointAbout, ModelAbout } from '../runtime/planFile.ts';
import type { ParamInfo } from '../runtime/program.ts';
import { isAdapterParam } from '../train/model.ts';
import { checkCompiledConfig } from './compiledConfig.ts';
import { checkCompiledGguf } from './compiledGguf.ts';

/** A compiled model, as far as its checkpoints are concerned. */
export interface CompiledModel {
  readonly about: Pick<ModelAbout, 'checkpoint'>;
  readonly program: { readonly params: readonly Pick<ParamInfo, 'name' | 'shape' | 'table'>[] };
}

/** The tensors that a compiled model needs: all its parameters but computed tables and adapters. */
function* expectedTensors({ about: { checkpoint }, program }: CompiledModel): Generator<ExpectedTensor> {
  const places = checkpoint?.gguf?.places ?? {};
  for (const { name, shape, table } of program.params) {
    if (table || isAdapterParam(name)) continue;
    const gguf = Object.hasOwn(places, name) ? places[name] : undefined;
    yield { name, shape, from: 'as the model was compiled', ...(gguf ? { gguf } : {}) };
  }
}

function layoutOf(model: CompiledModel): Layout {
  const { checkpoint } = model.about;
  return {
    tensors: () => expectedTensors(model),
    prefix: checkpoint?.prefix ?? '',
    computed: checkpoint?.computed ?? [],
    head: checkpoint?.head ?? null,
    ggufArchitecture: checkpoint?.gguf?.architecture ?? null,
    reason: () => 'the model was compiled with it',
    configJson: () => ({ ...checkpoint?.config }) as JsonObject,
  };
}

/** The fields of a config.json as they are once a head that lies beside a tie has its say. @throws EbbError where the model was compiled without such a head */
function settledHead(
  where: string,
  fields: JsonObject,
  { head, config, assumed }: CheckpointAbout,
  compare: CompareHead,
): { settled: JsonObject; notes: string[] } {
  // a plan of an earlier version knows no defaults
  const tied = fields['tie_word_embeddings'] ?? (assumed?.absent ?? config)['tie_word_embeddings'];
  const beside = head && tied === true ? compare(head) : 'none';
  if (!head || beside !== 'different') return { settled: fields, notes: head ? headNotes(fields, head, beside) : [] };
  if (config['tie_word_embeddings'] === true)
    throw new EbbError(
      `${where}: ${tieText(fields)}, but ${head.name} holds other values than the embedding, and the model was compiled with one tensor for both; compile it again for this checkpoint`,
    );
  return { settled: { ...fields, tie_word_embeddings: false }, notes: headNotes(fields, head, beside) };
}

/** What a compiled model says of checkpoints. */
function describeCompiled(model: CompiledModel): Describe<Layout> {
  const { checkpoint } = model.about;
  const described = { model: layoutOf(model), notes: [] };
  return {
    config: (where, fields, compare) => {
      if (!checkpoint) return described;
      const { settled, notes } = settledHead(where, fields, checkpoint, compare);
      return { ...described, notes: [...notes, ...checkCompiledConfig(where, settled, checkpoint)] };
    },
    gguf: (gguf) => {
      const { file, metadata } = gguf;
      if (!checkpoint?.gguf)
        throw new EbbError(`${file}: the names of its tensors are not those of the compiled model; give a checkpoint folder or safetensors`);
      const { architecture } = checkpoint.gguf;
      const found = metadata.get('general.architecture');
      if (found !== architecture)
        throw new EbbError(`${file}: general.architecture is ${found === undefined ? 'missing' : show(found)}, the model was compiled for ${architecture}`);
      checkCompiledGguf(gguf, architecture, checkpoint);
      return described;
    },
  };
}

/** Opens a checkpoint whose tensors are a compiled model's parameters. @throws EbbError where they are not, and for a config.json of another model */
export function openForCompiled(path: string, model: CompiledModel): StoredCheckpoint<Layout> {
  return openStored(path, describeCompiled(model));
}
