/** @file Checkpoints of a run: parameters, moments and where the run stood, with what was trained beside them. Each says what its bytes hash to. */

import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { EbbError, option } from '../errors.ts';
import { discard, fileError, makeFolder, readText } from '../formats/files.ts';
import { parseJson } from '../formats/json.ts';
import { openSafetensors, readTensor, type StreamedEntry, streamSafetensors, writeTextAside } from '../formats/safetensors.ts';
import { parseBy } from '../issues.ts';
import type { Engine } from '../runtime/execute.ts';
import { storedBytes } from '../runtime/lasting.ts';
import type { TrainState } from '../train/loop.ts';
import { checkpointName, checkpointNames, checkpointPath, STATE, TENSORS } from './checkpointNames.ts';
import { startUpload } from './engine.ts';
import { namedWeights, type StoredTensor, startPieces, type Weights } from './startingValue.ts';
import { trainedPieces } from './trainedPieces.ts';

const count = z.int().nonnegative();
/** Where a run stood. Versions before 0.2 wrote neither the run nor a hash. */
const storedState = (groups?: number) =>
  z.strictObject({
    step: count,
    updates: groups === undefined ? z.array(count) : z.array(count).length(groups),
    sensitivities: z.array(z.number()).optional(),
    run: z.string().optional(),
    sha256: z.string().optional(),
  });
type StoredState = z.infer<ReturnType<typeof storedState>>;

/** What of a trainable parameter a checkpoint holds, and what it is called there. */
export const kindsOf = (engine: Pick<Engine, 'memory'>): readonly ('params' | 'm' | 'v')[] => [
  'params',
  ...(['m', 'v'] as const).filter((kind) => kind in engine.memory),
];
const tensorName = (param: string, kind: 'params' | 'm' | 'v'): string => (kind === 'params' ? param : `${kind}.${param}`);

/** Trainable parameters and their moments, to be written. */
function trainingTensors(engine: Pick<Engine, 'program' | 'memory' | 'readPieces'>): StreamedEntry[] {
  return engine.program.params.flatMap((p, i) => {
    if (!p.trainable) return [];
    return kindsOf(engine).map((kind): StreamedEntry => {
      const name = tensorName(p.name, kind);
      return { name, dtype: 'F32', shape: p.shape, pieces: () => trainedPieces(name, engine.readPieces(i, kind)) };
    });
  });
}

/** Bytes of what a checkpoint holds besides what was trained. */
export const checkpointBytes = (engine: Pick<Engine, 'program' | 'memory'>): number =>
  engine.program.params.reduce((sum, p) => sum + (p.trainable ? kindsOf(engine).length * p.shape.reduce((a, b) => a * b, 4) : 0), 0);

/** What a checkpoint is written of. */
export interface CheckpointParts {
  readonly engine: Pick<Engine, 'program' | 'memory' | 'readPieces'>;
  readonly state: TrainState;
  /** The identity of the run. */
  readonly run: string;
  /** Writes what was trained into the checkpoint's folder. */
  readonly result: (checkpoint: string) => Promise<unknown>;
}

/** Writes a checkpoint into a run's folder; it has its name once it is whole. @throws EbbError where it cannot be written, and for values that are not finite */
export async function writeCheckpoint(folder: string, { engine, state, run, result }: CheckpointParts): Promise<string> {
  const path = checkpointPath(folder, checkpointName(state.step));
  const aside = `${path}.partial`;
  try {
    rmSync(aside, { recursive: true, force: true });
    makeFolder(aside);
    const hash = createHash('sha256');
    await streamSafetensors(join(aside, TENSORS), trainingTensors(engine), undefined, (bytes) => hash.update(bytes));
    await result(aside);
    const stored: StoredState = {
      ...state,
      updates: [...state.updates],
      sensitivities: state.sensitivities && [...state.sensitivities],
      run,
      sha256: hash.digest('hex'),
    };
    writeTextAside(join(aside, STATE), `${JSON.stringify(stored)}\n`);
    rmSync(path, { recursive: true, force: true });
    renameSync(aside, path);
    return path;
  } catch (error) {
    discard(aside);
    throw fileError(path, error);
  }
}

/** The run that a checkpoint is of; null where it does not say, as those of earlier versions. */
function runOf(checkpoint: string): string | null {
  try {
    const { run } = JSON.parse(readFileSync(join(checkpoint, STATE), 'utf8')) as { readonly run?: unknown };
    return typeof run === 'string' ? run : null;
  } catch {
    return null;
  }
}

/** The checkpoints of a run, the newest last: those that another run left in its folder are none of its own. */
export const ownCheckpoints = (folder: string, run: string): string[] =>
  checkpointNames(folder).filter((name) => [null, run].includes(runOf(checkpointPath(folder, name))));

/** Removes the oldest checkpoints of a run, until so many are left. */
export function removeOldest(folder: string, run: string, kept: number): void {
  for (const name of ownCheckpoints(folder, run).slice(0, -kept)) discard(checkpointPath(folder, name));
}

/** A checkpoint that a run goes on from. */
export interface WholeCheckpoint {
  readonly name: string;
  readonly state: TrainState;
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** @throws EbbError for a checkpoint that is not whole */
async function checkWhole(checkpoint: string): Promise<TrainState> {
  const file = join(checkpoint, STATE);
  const { sha256, run: _run, ...state } = parseBy(storedState(), parseJson(file, readText(file)), file, 'it is broken');
  if (checkpointName(state.step) !== basename(checkpoint)) throw new EbbError(`${file}: step is ${state.step}, expected that of its folder's name`, 'run');
  const tensors = join(checkpoint, TENSORS);
  openSafetensors(tensors);
  if (sha256 !== undefined && (await hashOf(tensors)) !== sha256) throw new EbbError(`${tensors}: its bytes are not those that were written`, 'run');
  return state;
}

/**
 * The newest checkpoint of a run that is whole; null where the run has none. @param say is told of those that are broken, which stay where they are under another name
 * @throws EbbError where all that there are are broken, or are another run's
 */
export async function newestWhole(folder: string, run: string | null, say: (text: string) => void): Promise<WholeCheckpoint | null> {
  const names = checkpointNames(folder);
  const own = run === null ? names : ownCheckpoints(folder, run);
  if (own.length < names.length) say(`${folder}: ${names.length - own.length} of its checkpoints are of another run; they are left as they are`);
  if (own.length === 0 && names.length > 0)
    throw new EbbError(`${folder}: holds checkpoints of another run alone (identity.json says which this is); choose another folder (${option('out')})`, 'run');
  const broken: string[] = [];
  for (const name of own.toReversed()) {
    try {
      const state = await checkWhole(checkpointPath(folder, name));
      if (broken.length > 0) say(`${broken.join('; ')}; going on from ${name}, the newest checkpoint that is whole`);
      return { name, state };
    } catch (error) {
      if (!(error instanceof EbbError)) throw error;
      broken.push(error.message);
    }
  }
  if (broken.length === 0) return null;
  throw new EbbError(`${broken.join('; ')}; no checkpoint is whole: start another run (${option('out')})`, 'run');
}

/** Sets the checkpoints behind one aside, which are broken: their steps are done again. */
export function setBrokenAside(folder: string, run: string, { name }: WholeCheckpoint): void {
  for (const later of ownCheckpoints(folder, run).filter((other) => other > name)) {
    const aside = `${checkpointPath(folder, later)}.broken`;
    rmSync(aside, { recursive: true, force: true });
    renameSync(checkpointPath(folder, later), aside);
  }
}

/** Loads parameters and moments of a checkpoint, piece by piece. @throws EbbError naming the file and what in it is missing or does not fit */
export async function loadCheckpoint(folder: string, { name, state }: WholeCheckpoint, engine: Engine): Promise<void> {
  const path = join(checkpointPath(folder, name), TENSORS);
  const groups = engine.storage.groups.length;
  if (state.updates.length !== groups)
    throw new EbbError(
      `${join(checkpointPath(folder, name), STATE)}: updates has ${state.updates.length} numbers, expected ${groups}; the run was started with another model or adapter`,
      'run',
    );
  const file = openSafetensors(path);
  const { tensors } = namedWeights(path, file.tensors, ({ name: tensor }, offset, length) => readTensor(file, tensor, offset, length));
  // nothing is written unless everything fits
  const fitting = engine.program.params.flatMap((p, i) =>
    p.trainable ? kindsOf(engine).map((kind) => ({ p, i, kind, tensor: fittingTensor(path, tensors, tensorName(p.name, kind), p.shape) })) : [],
  );
  const upload = startUpload(engine);
  for (const { p, i, kind, tensor } of fitting)
    await upload.write(tensor.name, startPieces(p, { kind: 'stored', path, tensor }, 0), storedBytes(p), (data, offset) =>
      kind === 'params' ? engine.writeParam(i, data, offset) : engine.writeMoment(i, kind, data, offset),
    );
  await upload.finish();
}

function fittingTensor(path: string, tensors: Weights['tensors'], name: string, shape: readonly number[]): StoredTensor {
  const found = tensors.get(name);
  if (!found) throw new EbbError(`${path}: has no tensor ${name}; the run was started with another model, adapter or optimizer`, 'run');
  if (found.shape.join() === shape.join()) return found;
  throw new EbbError(
    `${path}: tensor ${name} has shape [${found.shape.join(', ')}], expected [${shape.join(', ')}]; the run was started with another model or adapter`,
    'run',
  );
}
