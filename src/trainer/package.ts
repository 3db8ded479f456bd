/** @file A folder that `ebb compile` wrote, read in Node or over the network: plan.json, kernels/, tables.safetensors. */

import { EbbError } from '../errors.ts';
import { bytesSource, decodeUtf8 } from '../formats/bytes.ts';
import { f32FromBytes } from '../formats/floats.ts';
import { parseSafetensors } from '../formats/safetensorsHeader.ts';
import type { InputData } from '../runtime/inputs.ts';
import { parsePlan, planProgram, type Requirements } from '../runtime/planFile.ts';
import type { TrainableModel } from '../train/model.ts';

/** A compiled model with what it asks of a device. */
export interface LoadedTrainer extends TrainableModel {
  /** plan.json as it is: a run goes on with the same. */
  readonly planText: string;
  readonly requires: Requirements;
}

/** Reads a file of the package, by its path in it. */
export type ReadFile = (path: string) => Promise<Uint8Array>;

export const PLAN_FILE = 'plan.json';
export const TABLES_FILE = 'tables.safetensors';

const isNode = (): boolean => typeof process !== 'undefined' && process.versions?.node !== undefined;

/** Files below `folder`: from the disk in Node, else fetched. */
export function filesOf(folder: URL): ReadFile {
  return async (path) => {
    const url = new URL(path, folder);
    if (isNode() && url.protocol === 'file:') {
      const { readFile } = await import('node:fs/promises');
      return readFile(url).catch((error: unknown) => {
        throw new EbbError(
          `${path}: cannot be read (${error instanceof Error ? error.message : String(error)}); the folder that ebb compile wrote belongs together`,
        );
      });
    }
    const response = await fetch(url);
    if (!response.ok) throw new EbbError(`${url.href}: ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  };
}

/** Loads a compiled model. @throws EbbError for a file that is missing, no plan, or of another version */
export async function loadTrainer(read: ReadFile): Promise<LoadedTrainer> {
  const text = async (path: string): Promise<string> => decodeUtf8(path, await read(path));
  const planText = await text(PLAN_FILE);
  const plan = parsePlan(planText);
  const files = [...new Set(plan.pipelines.map((p) => p.file))];
  const kernels = new Map(await Promise.all(files.map(async (file): Promise<[string, string]> => [file, await text(file)])));
  const { program, about, requires } = planProgram(plan, kernels);
  const tables = program.params.some((p) => p.table) ? readTables(await read(TABLES_FILE)) : new Map<string, Float32Array>();
  return {
    planText,
    program,
    about,
    requires,
    table: (param) => {
      const table = tables.get(param);
      if (!table) throw new EbbError(`${TABLES_FILE}: has no tensor ${param}; compile the model again`);
      return table;
    },
  };
}

function readTables(bytes: Uint8Array): Map<string, Float32Array> {
  const { tensors } = parseSafetensors(bytesSource(TABLES_FILE, bytes));
  return new Map([...tensors].map(([name, { byteOffset, byteLength }]) => [name, f32FromBytes(bytes.slice(byteOffset, byteOffset + byteLength))]));
}

/** What a package says of itself. */
export interface PackageFacts {
  readonly name: string;
  /** Where plan.json lies. */
  readonly folder: URL;
  /** Residual branches that may lose their backward, in the order they run. */
  readonly units: readonly string[];
  /** Largest run-time dimensions. */
  readonly bounds: Readonly<Record<string, number>>;
  /** Drop rate where neither a flag nor a run file names one. */
  readonly dropRate?: number;
}

/** A compiled model as its `model.ts` names it, with the types of what a step is given, of its units and of its trained parameters. */
export interface TrainerPackage<Inputs = InputData, Unit extends string = string, Parameter extends string = string> extends PackageFacts {
  readonly units: readonly Unit[];
  /** For types alone: nothing sets it. */
  readonly of?: { readonly inputs: Inputs; readonly parameter: Parameter };
}

/** The compiled model of a package. @throws EbbError */
export const loadPackage = ({ folder }: PackageFacts): Promise<LoadedTrainer> => loadTrainer(filesOf(folder));
