/** @file The models of a fixture set: those Ebb is compared with, and those it must refuse by name. What it supports, the table of families says. */

import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileSource } from '../../src/formats/files.ts';
import { parseGguf } from '../../src/formats/gguf.ts';
import { FAMILIES, ggufArchitectures, openCheckpoint } from '../../src/models/checkpoint.ts';
import { messageOf, readJson, subfolders } from '../formats/fixtureFolder.ts';

export interface FixtureModel {
  readonly name: string;
  readonly path: string;
  /** The family, as the model's own file names it. */
  readonly type: string;
  readonly supported: boolean;
  /** What a refusal of this model must contain: the family that was found, and each that is supported. */
  readonly refusal: readonly string[];
}

/** Every `model_type` that is supported. */
export const FAMILY_KINDS: readonly string[] = FAMILIES.map(({ kind }) => kind);

function fixtureModel(path: string, field: string, type: unknown, known: readonly string[]): FixtureModel {
  if (typeof type !== 'string') throw new Error(`${path}: ${field} is ${JSON.stringify(type)}, expected the name of a family`);
  return { name: basename(path), path, type, supported: known.includes(type), refusal: [`${field} is "${type}"`, ...known] };
}

/** A Hugging Face checkpoint folder. */
export function fixtureCheckpoint(path: string): FixtureModel {
  return fixtureModel(path, 'model_type', readJson(join(path, 'config.json')).model_type, FAMILY_KINDS);
}

/** Every folder under `root`: a folder that is no checkpoint fails here, since nothing says what it is for. */
export function checkpointsIn(root: string): FixtureModel[] {
  return subfolders(root).map((name) => fixtureCheckpoint(join(root, name)));
}

/** Every GGUF file under `root`. */
export function ggufsIn(root: string): FixtureModel[] {
  return readdirSync(root)
    .filter((name) => name.endsWith('.gguf'))
    .map((name) => {
      const path = join(root, name);
      const type = parseGguf(fileSource(path)).metadata.get('general.architecture');
      return fixtureModel(path, 'general.architecture', type, ggufArchitectures());
    });
}

/** Declares a test for each model that is not supported: the product must refuse it by name. */
export function refuseOthers(models: readonly FixtureModel[]): void {
  for (const { name, path, type, supported, refusal } of models) {
    if (supported) continue;
    it(`${name} is refused, naming ${type} and what is supported`, () => {
      const said = messageOf(() => openCheckpoint(path));
      for (const words of refusal) expect(said).toContain(words);
    });
  }
}

/** The models that are compared, of which there must be some. */
export function supportedOf(models: readonly FixtureModel[]): FixtureModel[] {
  const supported = models.filter((m) => m.supported);
  it('holds models that are supported', () => expect(supported.length).toBeGreaterThan(0));
  return supported;
}

/** The files that hold a GGUF file's golden numbers. */
export function goldenOf({ path }: FixtureModel): { readonly json: string; readonly tensors: string } {
  const stem = path.replace(/\.gguf$/, '');
  return { json: `${stem}.golden.json`, tensors: `${stem}.golden.safetensors` };
}
