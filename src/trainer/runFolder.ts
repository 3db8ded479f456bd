/** @file The folder of a run: its config, metrics, checkpoints that resume, and the result. Files are written aside and renamed. */

import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { EbbError } from '../errors.ts';
import { openSafetensors, readFloats, type SafetensorsEntry, writeSafetensors, writeTextAside } from '../formats/safetensors.ts';
import type { Engine } from '../runtime/execute.ts';
import type { RunConfig } from '../train/config.ts';
import type { StepMetrics, TrainState } from '../train/loop.ts';

export interface RunFolder {
  readonly path: string;
  writeConfig(config: RunConfig): void;
  appendMetrics(metrics: StepMetrics): void;
  saveCheckpoint(engine: Engine, state: TrainState): Promise<void>;
  /** Loads the newest complete checkpoint into the engine, and cuts the metrics behind it. */
  resume(engine: Engine): TrainState | null;
}

const KEPT = 2;

/** Opens a run's folder. @throws EbbError when it holds a run already and that one is not resumed */
export function openRunFolder(path: string, resumes: boolean): RunFolder {
  if (!resumes && existsSync(join(path, 'metrics.jsonl')))
    throw new EbbError(`${path}: holds a run already; go on with it (--resume), or choose another folder (--out)`);
  mkdirSync(join(path, 'checkpoints'), { recursive: true });
  const metrics = join(path, 'metrics.jsonl');
  const checkpoints = (): string[] =>
    readdirSync(join(path, 'checkpoints'))
      .filter((name) => /^step-\d+$/.test(name))
      .sort();
  return {
    path,
    writeConfig: (config) => writeTextAside(join(path, 'config.yaml'), stringify(config)),
    appendMetrics: (line) => appendFileSync(metrics, `${JSON.stringify(line)}\n`),
    async saveCheckpoint(engine, state) {
      const name = `step-${String(state.step).padStart(8, '0')}`;
      const aside = join(path, 'checkpoints', `${name}.partial`);
      rmSync(aside, { recursive: true, force: true });
      mkdirSync(aside, { recursive: true });
      writeSafetensors(join(aside, 'training.safetensors'), await trainingTensors(engine));
      writeTextAside(join(aside, 'state.json'), `${JSON.stringify(state)}\n`);
      rmSync(join(path, 'checkpoints', name), { recursive: true, force: true });
      renameSync(aside, join(path, 'checkpoints', name));
      for (const old of checkpoints().slice(0, -KEPT)) rmSync(join(path, 'checkpoints', old), { recursive: true, force: true });
    },
    resume(engine) {
      const newest = checkpoints().at(-1);
      if (newest === undefined) return null;
      const folder = join(path, 'checkpoints', newest);
      const state = JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')) as TrainState;
      const file = openSafetensors(join(folder, 'training.safetensors'));
      engine.program.params.forEach((p, i) => {
        if (!p.trainable) return;
        if (!file.tensors.has(p.name)) throw new EbbError(`${folder}: has no tensor ${p.name}; the run was started with another model or adapter`);
        engine.writeParam(i, readFloats(file, p.name));
        for (const kind of ['m', 'v'] as const) if (file.tensors.has(`${kind}.${p.name}`)) engine.writeMoment(i, kind, readFloats(file, `${kind}.${p.name}`));
      });
      if (existsSync(metrics)) {
        const kept = readFileSync(metrics, 'utf8')
          .split('\n')
          .filter((line) => line !== '' && (JSON.parse(line) as StepMetrics).step < state.step);
        writeTextAside(metrics, kept.map((line) => `${line}\n`).join(''));
      }
      return state;
    },
  };
}

async function trainingTensors(engine: Engine): Promise<SafetensorsEntry[]> {
  const entries: SafetensorsEntry[] = [];
  const kinds = Object.keys(engine.memory).includes('v') ? (['params', 'm', 'v'] as const) : (['params', 'm'] as const);
  for (const [i, p] of engine.program.params.entries()) {
    if (!p.trainable) continue;
    for (const kind of kinds)
      entries.push({ name: kind === 'params' ? p.name : `${kind}.${p.name}`, dtype: 'F32', shape: p.shape, data: await engine.readParam(i, kind) });
  }
  return entries;
}
