/** @file The folder of a run: its config, metrics, checkpoints that resume, and the result. Files are written aside and renamed. */

import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { EbbError } from '../errors.ts';
import { type PeftOutput, targetModulesFor, writePeft } from '../formats/peft.ts';
import { openSafetensors, readFloats, type SafetensorsEntry, writeSafetensors, writeTextAside } from '../formats/safetensors.ts';
import { ggufTokenizerFields } from '../formats/tokenizer.ts';
import type { Engine } from '../runtime/execute.ts';
import { isAdapterParam, type LoraOptions, type Session } from '../session.ts';
import type { RunConfig } from '../train/config.ts';
import type { StepMetrics, TrainState } from '../train/loop.ts';
import { adapterFileName } from './adapter.ts';
import { configJson } from './configJson.ts';

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

/** Writes what was trained: a PEFT adapter folder, or a checkpoint folder with config and tokenizer. */
export async function writeResult(folder: string, session: Session, lora: LoraOptions | null): Promise<void> {
  const { engine, checkpoint, traced } = session;
  const entries: SafetensorsEntry[] = [];
  for (const [i, p] of engine.program.params.entries()) {
    if (!p.trainable) continue;
    entries.push({ name: lora ? adapterFileName(p.name) : p.name, dtype: 'F32', shape: p.shape, data: await engine.readParam(i) });
  }
  if (lora) {
    const all = linearLayers(traced.params.map((p) => p.name));
    const layers = traced.params.filter((p) => isAdapterParam(p.name)).map((p) => p.name.replace(/\.lora_[AB]\.weight$/, ''));
    writePeft(folder, {
      ...adapterSettings(lora),
      targetModules: targetModulesFor([...new Set(layers)], all),
      fanInFanOut: checkpoint.config.kind === 'gpt2',
      baseModel: checkpoint.path,
      tensors: entries,
    });
    return;
  }
  mkdirSync(folder, { recursive: true });
  writeSafetensors(join(folder, 'model.safetensors'), entries);
  const source = checkpoint.kind === 'hf' ? checkpoint.path : dirname(checkpoint.path);
  if (checkpoint.kind === 'hf')
    for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja', 'generation_config.json'])
      if (existsSync(join(source, name))) copyFileSync(join(source, name), join(folder, basename(name)));
  if (checkpoint.kind === 'gguf') {
    const { json, config } = ggufTokenizerFields(checkpoint.path);
    const files = { 'config.json': configJson(checkpoint.config), 'tokenizer.json': { version: '1.0', ...json }, 'tokenizer_config.json': config };
    for (const [name, content] of Object.entries(files)) writeTextAside(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

type AdapterSettings = Pick<PeftOutput, 'rank' | 'alpha' | 'useRslora' | 'dropout' | 'rankPattern' | 'alphaPattern'>;

/** A continued adapter keeps the ranks and scales of its layers where they differ from the common ones. */
function adapterSettings(lora: LoraOptions): AdapterSettings {
  const { rank, alpha, rslora, dropout, existing } = lora;
  const rankPattern: Record<string, number> = {};
  const alphaPattern: Record<string, number> = {};
  for (const [layer, own] of existing ?? []) {
    const ownAlpha = own.scale * (rslora ? Math.sqrt(own.rank) : own.rank);
    if (own.rank !== rank) rankPattern[layer] = own.rank;
    if (Math.abs(ownAlpha - alpha) > 1e-9 * alpha) alphaPattern[layer] = ownAlpha;
  }
  return { rank, alpha, useRslora: rslora, dropout, rankPattern, alphaPattern };
}

/** Names of the linear layers: weights of two dimensions that are no embedding. */
function linearLayers(params: readonly string[]): string[] {
  return [
    ...new Set(params.filter((n) => /\.weight$/.test(n) && !isAdapterParam(n) && !/norm|embed|wte|wpe|ln_/.test(n)).map((n) => n.replace(/\.weight$/, ''))),
  ];
}
