/** @file A model on a device: its engine, with every parameter at its start. */

import { EbbError } from '../errors.ts';
import type { Device } from '../runtime/device.ts';
import { createEngine, type Engine, type EngineOptions } from '../runtime/execute.ts';
import { storedBytes } from '../runtime/lasting.ts';
import type { ProbeKind } from '../runtime/link/probe.ts';
import type { Program } from '../runtime/program.ts';
import type { TrainableModel } from '../train/model.ts';
import { pieces, type Watch } from './progress.ts';
import { checkNames, type Start, type StartPiece, startOf, startPieces, type Weights } from './startingValue.ts';

/** How an engine starts training. */
export interface StartOptions {
  /** Most micro-batches in a step. */
  readonly micros: number;
  readonly optimizer: 'adamw' | 'sgd' | 'none';
  /** `matrices`: parameters of two and more dimensions are under weight decay. */
  readonly decay: 'matrices' | 'all';
  readonly seed: number;
  /** See `EngineOptions`. */
  readonly exchange?: EngineOptions['exchange'];
  /** What `Engine.probe` measures, where units are probed. */
  readonly probes?: ProbeKind | undefined;
  /** Forms of the patterns and memory for them; default any pattern without forwards that run again. */
  readonly memory?: Pick<EngineOptions, 'forms' | 'activations'>;
  /** Is told how many kernels are compiled and weights are loaded. */
  readonly onProgress?: Watch['onProgress'];
}

/** Whether a parameter is under weight decay. */
export const decaysOf =
  (program: Program, decay: StartOptions['decay']) =>
  (param: number): boolean =>
    decay === 'all' || (program.params[param]?.shape.length ?? 0) >= 2;

/** Most bytes of weights that wait in the host's memory for the device to take them. */
const STAGED_BYTES = 32 * 2 ** 20;

/** Writes values that are larger than the host should hold. */
export interface Upload {
  /**
   * Hands pieces to the device, in order: each is read, converted, handed over and forgotten.
   * @param bytes what the pieces amount to
   * @throws EbbError for a tensor that cannot be read, and for another number of bytes
   */
  write(name: string, pieces: AsyncIterable<StartPiece>, bytes: number, write: (data: ArrayBufferView, offset: number) => void): Promise<void>;
  /** Waits until everything is on the device. */
  finish(): Promise<void>;
}

/** Uploads of which at most `STAGED_BYTES` and a piece wait for the device. */
export function startUpload(engine: Pick<Engine, 'uploaded'>): Upload {
  let staged = 0;
  return {
    async write(name, pieces, bytes, write) {
      let written = 0;
      for await (const { offset, data } of pieces) {
        write(data, offset);
        written += data.byteLength;
        staged += data.byteLength;
        if (staged < STAGED_BYTES) continue;
        await engine.uploaded();
        staged = 0;
      }
      if (written !== bytes) throw new EbbError(`parameter ${name} was given ${written} bytes, it takes ${bytes}`);
    },
    finish: () => engine.uploaded(),
  };
}

/**
 * Writes the starts of parameters, one piece after the other.
 * @param starts by the parameter's index; parameters without one are left as they are
 * @throws EbbError for a tensor that cannot be read, and for one of another size than its parameter
 */
export async function loadParams(
  engine: Pick<Engine, 'program' | 'writeParam' | 'uploaded'>,
  starts: readonly (Start | null)[],
  seed: number,
  { onProgress }: Pick<Watch, 'onProgress'> = {},
): Promise<void> {
  const upload = startUpload(engine);
  const tell = pieces({ onProgress }, 'loading weights', 'bytes');
  const total = engine.program.params.reduce((sum, p, i) => sum + (starts[i] ? storedBytes(p) : 0), 0);
  let done = 0;
  for (const [i, p] of engine.program.params.entries()) {
    const start = starts[i];
    if (!start) continue;
    await upload.write(p.name, startPieces(p, start, seed), storedBytes(p), (data, offset) => {
      engine.writeParam(i, data, offset);
      done += data.byteLength;
      tell(done, total);
    });
  }
  await upload.finish();
}

/** Where every parameter of a model starts. @throws EbbError for a tensor that is missing or does not fit */
export function startsOf({ program, table }: Pick<TrainableModel, 'program' | 'table'>, weights: Weights): readonly Start[] {
  return program.params.map((p) => startOf(p, weights, table));
}

/** @throws EbbError where weights are missing or cannot be read, and where the device's memory is not enough */
export async function startEngine(device: Device, model: TrainableModel, weights: Weights, options: StartOptions): Promise<Engine> {
  const { program } = model;
  checkNames(weights, program.params);
  const { micros, optimizer, memory = {}, probes, exchange, onProgress } = options;
  const decays = decaysOf(program, options.decay);
  const starts = startsOf(model, weights);
  const engine = await createEngine(device, program, {
    micros,
    decays,
    optimizer,
    ...memory,
    ...(probes === undefined ? {} : { probes }),
    ...(exchange ? { exchange } : {}),
    onPipeline: pieces({ onProgress }, 'compiling kernels'),
  });
  try {
    await loadParams(engine, starts, options.seed, { onProgress });
  } catch (error) {
    engine.destroy();
    throw error;
  }
  return engine;
}
