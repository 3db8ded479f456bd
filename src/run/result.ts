/** @file What a run leaves: a PEFT adapter folder, or a model with its config and tokenizer. */

import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { get } from '../errors.ts';
import { makeFolder, readText } from '../formats/files.ts';
import { type JsonObject, parseJsonObject } from '../formats/json.ts';
import { type PeftOutput, writePeft } from '../formats/peft.ts';
import { type StreamedEntry, streamSafetensors, writeTextAside } from '../formats/safetensors.ts';
import type { Engine } from '../runtime/execute.ts';
import type { AdapterAbout, ModelAbout } from '../runtime/planFile.ts';
import { ggufTokenizerFields } from '../tokenizer/open.ts';
import { adapterFileName, loraScale } from '../train/model.ts';
import type { LoadedAdapter } from './adapter.ts';

import type { DiskWeights } from './weights.ts';

const CONFIG_JSON = 'config.json';
const BESIDE = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja', 'generation_config.json'];

/** Writes what was trained into `folder`, read from the device piece by piece. @throws EbbError where it cannot be written */
export async function writeResult(
  folder: string,
  engine: Pick<Engine, 'program' | 'readPieces'>,
  about: Pick<ModelAbout, 'lora'>,
  weights: Pick<DiskWeights, 'path' | 'checkpoint'>,
): Promise<void> {
  const { params } = engine.program;
  const entries = params.flatMap((p, i): StreamedEntry[] => {
    if (!p.trainable) return [];
    return [{ name: about.lora ? adapterFileName(p.name) : p.name, dtype: 'F32', shape: p.shape, pieces: () => engine.readPieces(i) }];
  });
  if (about.lora) {
    await writePeft(folder, {
      ...adapterSettings(about.lora),
      baseModel: weights.path,
      tensors: entries,
    });
    return;
  }
  makeFolder(folder);
  await streamSafetensors(join(folder, 'model.safetensors'), entries);
  const { checkpoint } = weights;
  if (checkpoint?.kind === 'hf') {
    const config = join(checkpoint.path, CONFIG_JSON);
    if (existsSync(config)) writeConfig(config, join(folder, CONFIG_JSON), checkpoint.model.configJson());
    for (const name of BESIDE) if (existsSync(join(checkpoint.path, name))) copyFileSync(join(checkpoint.path, name), join(folder, name));
  }
  if (checkpoint?.kind === 'gguf') {
    const { json, config } = ggufTokenizerFields(checkpoint.path);
    const files = { [CONFIG_JSON]: checkpoint.model.configJson(), 'tokenizer.json': { version: '1.0', ...json }, 'tokenizer_config.json': config };
    for (const [name, content] of Object.entries(files)) writeTextAside(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
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
 * What a config.json says beside the weights of a run: they are F32, and transformers would round them to another dtype; and a head that was
 * trained as its own is no longer called tied.
 */
function trainedConfig(fields: JsonObject, { tie_word_embeddings: tied }: JsonObject): JsonObject {
  const dtypes = ['dtype', 'torch_dtype'].filter((name) => fields[name] !== undefined && fields[name] !== null);
  const untie = tied === false && fields['tie_word_embeddings'] === true ? { tie_word_embeddings: false } : {};
  return { ...fields, ...Object.fromEntries(dtypes.map((name) => [name, 'float32'])), ...untie };
}

/** Writes the config.json at `from` beside trained weights: as it is, but for what is no longer so. @param model what the model's own config.json says */
function writeConfig(from: string, to: string, model: JsonObject): void {
  const fields = parseJsonObject(from, readText(from));
  const trained = trainedConfig(fields, model);
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
