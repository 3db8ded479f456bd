/** @file Measures the kernels of training steps, for `ebb train --profile` and `ebb inspect --measure`. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileModel } from '../compile/compile.ts';
import { makeFolder } from '../formats/files.ts';
import { fastest, type Profile, profileOf, profileText, traceFile } from '../inspect/profile.ts';
import type { View } from '../inspect/views.ts';
import type { CommandDevice } from '../node/device.ts';
import { startEngine } from '../run/engine.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { InputData } from '../runtime/inputs.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import { extentBytes, type InputDecl, type Sizes } from '../runtime/program.ts';
import { neutralScalar } from '../runtime/scalars.ts';
import { measureRoof } from './roof.ts';
import { type LoraOptions, trainableModel } from './session.ts';
import { compileDeviceOf } from './sessionDevice.ts';
import { checkSizes, openSource } from './source.ts';
import { knownSchedules, withSchedules } from './tune.ts';

/** Writes the profile of a run's steps into its folder, as text and as a trace. Returns the text. */
export async function writeProfile(folder: string, steps: readonly (readonly DispatchTime[])[], device: CommandDevice): Promise<string> {
  const roof = await measureRoof(device.device);
  // Drop patterns differ from step to step, so the table is that of the first step alone.
  const [first = []] = steps;
  const text = profileText(profileOf(first, roof));
  makeFolder(folder);
  writeFileSync(join(folder, 'profile.txt'), `${text}\n`);
  steps.forEach((times, i) => {
    writeFileSync(join(folder, `trace-${i}.json`), traceFile(times));
  });
  return text;
}

/** Makes up inputs that every program accepts: all zeros, in one segment. */
function madeUp(inputs: readonly InputDecl[], sizes: Sizes): InputData {
  return Object.fromEntries(
    inputs.map(({ name, dtype, extent }): [string, InputData[string]] => {
      const count = extentBytes(extent, sizes) / 4;
      if (dtype === 'f32') return [name, new Float32Array(count)];
      const value = name === 'segments' ? 1 : 0;
      return [name, dtype === 'i32' ? new Int32Array(count).fill(value) : new Uint32Array(count).fill(value)];
    }),
  );
}

export interface MeasureOptions {
  readonly batch: number | null;
  readonly length: number | null;
  readonly lora: LoraOptions | null;
  readonly pattern: (units: readonly string[]) => Pattern;
}

const ROUNDS = 4;

/**
 * Runs training steps of a model under a pattern and measures every dispatch. The times are the least of a few rounds. It writes no file.
 * @throws EbbError for a model that cannot be opened, and sizes or units that it does not have
 */
export async function measureModel(path: string, device: CommandDevice, { pattern, ...bounds }: MeasureOptions): Promise<View & { readonly profile: Profile }> {
  const source = await openSource(path);
  checkSizes(path, source, bounds);
  const traced = source.trace(bounds);
  const compiled = compileModel(traced, { device: compileDeviceOf(withSchedules(device, knownSchedules(device))), optimizers: ['adamw'] });
  const model = trainableModel(traced, compiled, source.about(traced, bounds.lora));
  const engine = await startEngine(device.device, model, source.weights, { micros: 1, optimizer: 'adamw', decay: 'matrices', seed: 0 });
  const sizes = traced.module.dims;
  const micro = { sizes, inputs: madeUp(engine.program.inputs, sizes), pattern: pattern(traced.units), scalar: neutralScalar };
  const steps: (readonly DispatchTime[])[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const result = engine.step([micro], { optimizer: 'adamw', maxNorm: 0, alsoUntouched: false, scalar: still }, { timed: true });
    await result.read();
    // The first round includes compilation.
    if (round > 0 && result.times) steps.push(await result.times());
  }
  engine.destroy();
  const profile = profileOf(fastest(steps), await measureRoof(device.device));
  return { text: profileText(profile), json: profile, language: 'ir', profile };
}

/** The optimizer's scalars for an update that changes next to nothing. */
const still = (name: string): number => (name === 'lr' || name === 'weight_decay' ? 0 : name === 'eps' ? 1e-8 : 0.5);
