/**
 * @file A family of models in one value: what its config.json and GGUF keys hold, which tensors it needs, and the model itself. It is found by
 * `model_type`, `architectures` or `general.architecture`; families.ts lists one a line, and nothing else knows any of them.
 */

import { EbbError } from '../errors.ts';
import type { ByteSource } from '../formats/bytes.ts';
import type { Gguf } from '../formats/gguf.ts';
import { type GgufKeys, ggufKeys } from '../formats/ggufKeys.ts';
import type { ConfigReader, ModelTokens } from '../formats/hfConfig.ts';
import type { JsonObject } from '../formats/json.ts';
import type { Described, ExpectedTensor, Layout, TiedHead } from '../formats/layout.ts';
import { type CompareHead, headNotes, NO_HEAD } from '../formats/tiedHead.ts';
import type { ModelDefinition } from '../trace/trace.ts';
import { type AssumedFields, assumedFields } from './assumed.ts';
import type { ModelMode } from './inputs.ts';

/** What every model's configuration says, whatever its family. */
export interface ModelConfig extends ModelTokens {
  /** The family: its `model_type` in config.json. */
  readonly kind: string;
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** How many positions a sequence may have. */
  readonly maxPosition: number;
  /** Whether the head is the embedding. */
  readonly tieWordEmbeddings: boolean;
}

/** A model of some family: what is in its files, and how it is built. */
export interface Model extends Layout {
  readonly config: ModelConfig;
  /** What its config.json means where it says nothing, for those who know no family. */
  readonly assumed: () => AssumedFields;
  /** Whether tokens are told apart by the positions that they are given, rather than by how far they are from each other. */
  readonly learntPositions: boolean;
  /** The model for training (loss), for logits, or for generation with a key-value cache. */
  readonly build: (mode: ModelMode) => ModelDefinition;
}

/** How a family's GGUF files are read. */
export interface FamilyGguf<Config> {
  /** `general.architecture`, which the family's own keys begin with. */
  readonly architecture: string;
  /** Of families that share an architecture: the key that is on in this family's files alone. */
  readonly distinct?: string;
  /** The configuration of the keys; a key that it does not ask for, and that switches something on, is refused. @throws EbbError */
  readonly read: (keys: GgufKeys) => Config;
}

/** What `defineFamily` is given. */
export interface FamilySpec<Config extends ModelConfig> {
  /** The family's name, which is its `model_type` in config.json. */
  readonly kind: Config['kind'];
  /** Its classes in transformers, as `architectures` in config.json names them. The first is the one that is written. */
  readonly architectures: readonly [string, ...string[]];
  /** The configuration in the fields of a config.json. */
  readonly readConfig: ConfigReader<Config>;
  /** The fields that `readConfig` reads back, but for model_type and architectures. */
  readonly writeConfig: (config: Config) => JsonObject;
  /** Every tensor that the model needs, in the order in which it declares them. */
  readonly tensors: (config: Config) => Iterable<ExpectedTensor>;
  /** What the names of all tensors but the head's begin with, and lack in checkpoints of the bare model: `model.`. */
  readonly prefix: string;
  /** Names, or ends of names from a dot on, of tensors that files may hold and the model computes. The head's is one where it is tied. */
  readonly computed?: readonly string[];
  /** The head's tensor where it is not tied; default `lm_head.weight`. */
  readonly head?: string;
  /** The embedding's tensor, which the head may be tied to; default `model.embed_tokens.weight`. */
  readonly embedding?: string;
  /** What config.json calls the number of layers, for errors; default `num_hidden_layers`. */
  readonly layersField?: string;
  /** Whether each position has a row of its own that is learnt. Default: no; attention sees how far tokens are from each other. */
  readonly learntPositions?: boolean;
  /** Left out where Ebb reads no GGUF files of the family. */
  readonly gguf?: FamilyGguf<Config>;
  /** The model, written in the tracing API. */
  readonly build: (config: Config, mode: ModelMode) => ModelDefinition;
}

/** A family as whatever opens a checkpoint sees it. */
export interface Family {
  readonly kind: string;
  readonly architectures: readonly [string, ...string[]];
  readonly gguf: Pick<FamilyGguf<never>, 'architecture' | 'distinct'> | null;
  /** The model that the fields of a config.json describe. @throws EbbError, which begins with `where`, the file's path */
  readonly ofConfig: (where: string, fields: JsonObject, compare?: CompareHead) => Described<Model>;
  /** The model that the keys of a GGUF file of its architecture describe. @throws EbbError */
  readonly ofGguf: (gguf: Gguf, source: ByteSource) => Described<Model>;
}

/** A family whose configuration is known: called with one, it gives the model's definition. */
export interface FamilyOf<Config extends ModelConfig> extends Family {
  (config: Config, mode: ModelMode): ModelDefinition;
  /** The model of a configuration, with what its files hold. */
  readonly ofSettings: (config: Config) => Model;
}

/** The head of a family's models, and what files call the embedding: checkpoints of the bare model leave the prefix out. */
function headOf<Config extends ModelConfig>({
  prefix,
  head = 'lm_head.weight',
  embedding = 'model.embed_tokens.weight',
}: Pick<FamilySpec<Config>, 'prefix' | 'head' | 'embedding'>): TiedHead {
  const bare = prefix !== '' && embedding.startsWith(prefix) ? [embedding.slice(prefix.length)] : [];
  return { name: head, embedding: [embedding, ...bare] };
}

/** The model of a configuration. */
function modelOf<Config extends ModelConfig>(spec: FamilySpec<Config>, config: Config): Model {
  const head = headOf(spec);
  const { kind, architectures, layersField = 'num_hidden_layers', computed = [] } = spec;
  const written = (of: Config): JsonObject => ({ architectures: [architectures[0]], model_type: kind, ...spec.writeConfig(of) });
  return {
    config,
    learntPositions: spec.learntPositions ?? false,
    tensors: () => spec.tensors(config),
    prefix: spec.prefix,
    computed: config.tieWordEmbeddings ? [...computed, head.name] : computed,
    head,
    ggufArchitecture: spec.gguf?.architecture ?? null,
    reason: ({ name }) => (/\.\d+\./.test(name) ? `${layersField} is ${config.numLayers}` : `tie_word_embeddings is ${config.tieWordEmbeddings}`),
    configJson: () => written(config),
    assumed: () => assumedFields(spec.readConfig, written, written(config)),
    build: (mode) => spec.build(config, mode),
  };
}

/**
 * Defines a family of models. What it returns goes into the table of families (families.ts for those of the library, an argument of
 * `openCheckpoint` for one's own), and is itself a function: called with a configuration and a mode, it gives the model's definition.
 */
export function defineFamily<Config extends ModelConfig>(spec: FamilySpec<Config>): FamilyOf<Config> {
  const { kind, architectures, gguf } = spec;
  const family: Family = {
    kind,
    architectures,
    gguf: gguf ?? null,
    ofConfig: (where, fields, compare = NO_HEAD) => {
      const { config, notes } = spec.readConfig(where, fields);
      const head = headOf(spec);
      const beside = config.tieWordEmbeddings ? compare(head) : 'none';
      const settled = beside === 'different' ? spec.readConfig(where, { ...fields, tie_word_embeddings: false }).config : config;
      return { model: modelOf(spec, settled), notes: [...notes, ...headNotes(fields, head, beside)] };
    },
    ofGguf: (header, source) => {
      if (!gguf) throw new EbbError(`${header.file}: holds a ${kind}, which Ebb does not read from GGUF; give its Hugging Face folder`);
      const keys = ggufKeys(header, source, gguf.architecture);
      const config = gguf.read(keys);
      keys.refuseOthers();
      return { model: modelOf(spec, config), notes: [] };
    },
  };
  const definition = (config: Config, mode: ModelMode): ModelDefinition => spec.build(config, mode);
  return Object.assign(definition, family, { ofSettings: (config: Config): Model => modelOf(spec, config) });
}
