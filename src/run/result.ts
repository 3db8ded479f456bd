/** @file What a run leaves: a PEFT adapter folder, or a model with its config and tokenizer. */

import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { get } from '../errors.ts';
import { fileExists, makeFolder, pathKind, readText } from '../formats/files.ts';
import { type JsonObject, parseJsonObject } from '../formats/json.ts';
import { type PeftOutput, writePeft } from '../formats/peft.ts';
import { type StreamedEntry, streamSafetensors, writeTextAside } from '../formats/safetensors.ts';
import { FURTHER_TEMPLATES, isSideFile } from '../formats/sideFiles.ts';
import type { Engine } from '../runtime/execute.ts';
import type { AdapterAbout, ModelAbout } from '../runtime/planFile.ts';
import { ggufTokenizerFields } from '../tokenizer/open.ts';
import { adapterFileName, loraScale } from '../train/model.ts';
import type { LoadedAdapter } from './adapter.ts';
import { type ResultDtype, trainedPieces, type WrittenDtype, writtenDtype } from './trainedPieces.ts';
import type { DiskWeights } from './weights.ts';

const CONFIG_JSON = 'config.json';

/** What config.json calls them. */
const TORCH: Readonly<Record<WrittenDtype, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** The type of most elements; null where there is none. */
function mostly(entries: readonly StreamedEntry[]): WrittenDtype | null {
  const counts = new Map<WrittenDtype, number>();
  for (const { dtype, shape } of entries) counts.set(dtype as WrittenDtype, (counts.get(dtype as WrittenDtype) ?? 0) + shape.reduce((a, b) => a * b, 1));
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}

/**
 * Writes what was trained into `folder`, read from the device piece by piece. @param metadata of the file of weights. Returns the type of most of it, as config.json calls it.
 * @throws EbbError where it cannot be written, and for values that are NaN, infinite, or beyond the type
 */
export async function writeResult(
  folder: string,
  engine: Pick<Engine, 'program' | 'readPieces'>,
  about: Pick<ModelAbout, 'lora'>,
  weights: Pick<DiskWeights, 'path' | 'checkpoint' | 'tensors'>,
  asked: ResultDtype,
  metadata?: Readonly<Record<string, string>>,
): Promise<string> {
  const { params } = engine.program;
  const entries = params.flatMap((p, i): StreamedEntry[] => {
    if (!p.trainable) return [];
    const dtype = writtenDtype(asked, weights.tensors.get(p.name)?.dtype);
    return [{ name: about.lora ? adapterFileName(p.name) : p.name, dtype, shape: p.shape, pieces: () => trainedPieces(p.name, engine.readPieces(i), dtype) }];
  });
  const dtype = TORCH[mostly(entries) ?? 'F32'];
  if (about.lora) await writePeft(folder, { ...adapterSettings(about.lora), baseModel: weights.path, metadata, tensors: entries });
  else {
    makeFolder(folder);
    await streamSafetensors(join(folder, 'model.safetensors'), entries, metadata);
    writeBeside(folder, weights.checkpoint, dtype);
  }
  return dtype;
}

/** Writes what belongs beside the weights of a language model: its config, its tokenizer, and all other files that come along. */
function writeBeside(folder: string, checkpoint: DiskWeights['checkpoint'], dtype: string): void {
  if (checkpoint?.kind === 'hf') {
    const config = join(checkpoint.path, CONFIG_JSON);
    if (existsSync(config)) writeConfig(config, join(folder, CONFIG_JSON), checkpoint.model.configJson(), dtype);
    for (const name of sideFilesOf(checkpoint.path)) {
      makeFolder(dirname(join(folder, name)));
      copyFileSync(join(checkpoint.path, name), join(folder, name));
    }
  }
  if (checkpoint?.kind === 'gguf') {
    const { json, config } = ggufTokenizerFields(checkpoint.path);
    const files = {
      [CONFIG_JSON]: { ...checkpoint.model.configJson(), dtype },
      'tokenizer.json': { version: '1.0', ...json },
      'tokenizer_config.json': config,
    };
    for (const [name, content] of Object.entries(files)) writeTextAside(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

/** Files of a checkpoint's folder that come along with its weights. */
function sideFilesOf(folder: string): readonly string[] {
  const further = join(folder, FURTHER_TEMPLATES);
  const inside = existsSync(further) && pathKind(further) === 'folder' ? readdirSync(further).map((name) => `${FURTHER_TEMPLATES}/${name}`) : [];
  return [...readdirSync(folder), ...inside].filter((name) => isSideFile(name) && fileExists(join(folder, name))).sort();
}

/** Writes an adapter that was loaded as a folder that Python's peft loads. @throws EbbError where it cannot be written */
export async function writeAdapter(
  folder: string,
  about: AdapterAbout,
  { weights, shapes }: Pick<LoadedAdapter, 'weights' | 'shapes'>,
  baseModel: string,
): Promise<void> {
  const tensors = [...weights].map(([name, read]) => ({ name: adapterFileName(name), dtype: 'F32' as const, shape: get(shapes, name), data: read() }));
  await writePeft(folder, { ...adapterSettings(about), baseModel, tensors });
}

/**
 * What a config.json says beside the weights of a run: the type that they have, to which transformers would round them otherwise; and a head that
 * was trained as its own is no longer called tied.
 */
function trainedConfig(fields: JsonObject, { tie_word_embeddings: tied }: JsonObject, dtype: string): JsonObject {
  const dtypes = ['dtype', 'torch_dtype'].filter((name) => fields[name] !== undefined && fields[name] !== null);
  const untie = tied === false && fields['tie_word_embeddings'] === true ? { tie_word_embeddings: false } : {};
  return { ...fields, ...Object.fromEntries(dtypes.map((name) => [name, dtype])), ...untie };
}

/** Writes the config.json at `from` beside trained weights: as it is, but for what is no longer so. @param model what the model's own config.json says */
function writeConfig(from: string, to: string, model: JsonObject, dtype: string): void {
  const fields = parseJsonObject(from, readText(from));
  const trained = trainedConfig(fields, model, dtype);
  const isSame = Object.entries(trained).every(([name, value]) => fields[name] === value);
  if (isSame) copyFileSync(from, to);
  else writeTextAside(to, `${JSON.stringify(trained, null, 2)}\n`);
}

/** What adapter_config.json says of an adapter. Layers keep their ranks and scales where they differ from the common ones. */
function adapterSettings(lora: AdapterAbout): Omit<PeftOutput, 'baseModel' | 'tensors'> {
  const { rank, alpha, rslora, dropout, layers, targetModules, fanInFanOut } = lora;
  const own = Object.entries(layers).map(([layer, { rank, scale }]) => ({ layer, rank, alpha: scale / loraScale({ alpha: 1, rank, rslora }) }));
  const rankPattern = Object.fromEntries(own.filter((o) => o.rank !== rank).map((o) => [o.layer, o.rank]));
  const alphaPattern = Object.fromEntries(own.filter((o) => Math.abs(o.alpha - alpha) > 1e-9 * alpha).map((o) => [o.layer, o.alpha]));
  return { rank, alpha, useRslora: rslora, dropout, rankPattern, alphaPattern, targetModules, fanInFanOut };
}
