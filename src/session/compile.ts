/** @file `ebb compile`: writes a model as a folder that trains it without a compiler. */

import type { MatmulPrecision } from '../codegen/kernel/matmul/work.ts';
import { type PackageInput, packageFiles } from '../codegen/trainer/index.ts';
import type { UnitCost } from '../codegen/trainer/source.ts';
import { PORTABLE } from '../compile/devices/builtIn.ts';
import { uniformDrop } from '../dropbp/uniformDrop.ts';
import { EbbError, invariant, option } from '../errors.ts';
import type { StoredType } from '../formats/storedType.ts';
import { patternOf } from '../inspect/patterns.ts';
import { amount, boundsOf, inspectionLinker, type VariantReport, variantReport } from '../inspect/report.ts';
import { inspect } from '../inspect/stages.ts';
import { mainOf } from '../ir/module.ts';
import { tellAdapter } from '../run/adapter.ts';
import { inputsOf } from '../run/outputs.ts';
import { tell, type Watch } from '../run/progress.ts';
import type { DeviceProfile } from '../runtime/deviceProfile.ts';
import type { Linker } from '../runtime/link/link.ts';
import type { Program, Sizes } from '../runtime/program.ts';
import { captureLocations } from '../trace/location.ts';
import type { TracedModel } from '../trace/trace.ts';
import { bookChooser, type ScheduleBook } from '../tune/book.ts';
import { MANIFEST } from '../version.ts';
import { checkFolder, writeFolder } from './folder.ts';
import { requirementsOf } from './requirements.ts';
import type { LoraOptions } from './session.ts';
import { compileDeviceOf } from './sessionDevice.ts';
import { checkSizes, checkTrains, describeSource, type SourceDescription } from './source.ts';

export interface CompileFlags {
  readonly out: string;
  readonly batch: number | null;
  readonly length: number | null;
  readonly lora: LoraOptions | null;
  /** The type of tensors that no header describes. Default: as the configuration says. */
  readonly dtype?: StoredType | undefined;
  readonly dropRate: number | null;
  readonly matmulPrecision: MatmulPrecision;
  /** Whether the model is given positions that start over within rows. */
  readonly pack: boolean;
  readonly standalone: boolean;
}

/** What was compiled, and where it lies. */
export interface CompileReport {
  readonly out: string;
  /** The device that it was compiled for, in words. */
  readonly device: string;
  readonly units: number;
  readonly functions: number;
  readonly kernels: number;
  /** Milliseconds of reading, tracing and compiling. */
  readonly compileMs: number;
  /** Milliseconds of writing. */
  readonly writeMs: number;
}

/** The versions of a package that this one works with. */
function dependencyRange(name: string): string {
  const range = MANIFEST.dependencies[name];
  invariant(range !== undefined, `package.json names ${name}`);
  return range;
}

/** The costs of a step in which these units are dropped. */
function costs(program: Program, linker: Linker, dropped: readonly string[], sizes: Sizes): VariantReport {
  return variantReport(program, linker.link(patternOf(dropped)), { dropped, remat: [], skipped: [] }, sizes);
}

const flopsOf = ({ forwardFlops, backwardFlops }: VariantReport): number => forwardFlops + backwardFlops;

/** What the backward of each unit costs: the costs with nothing dropped, less those with this unit dropped. */
function unitCosts(program: Program, linker: Linker, units: readonly string[], sizes: Sizes): UnitCost[] {
  const whole = costs(program, linker, [], sizes);
  return units.map((site) => {
    const without = costs(program, linker, [site], sizes);
    return { site, note: `backward ${amount(flopsOf(whole) - flopsOf(without), 'FLOP')}, saves ${amount(whole.savedBytes - without.savedBytes, 'B')}` };
  });
}

/** Describes the device that a model was compiled for. */
const deviceText = (profile: DeviceProfile): string => (profile === PORTABLE ? profile.name : `${profile.kind} (${profile.name})`);

const RATES = [0, 0.5, 0.75, 0.875];

/** The numbers in a package's README: sizes, counts, and the costs of a step at a few drop rates. */
function readmeNumbers({ params, units }: TracedModel, program: Program, linker: Linker, device: string): PackageInput['readme'] {
  const elements = (list: TracedModel['params']): number => list.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const own = new Set(program.inputs.flatMap((i) => i.extent.of.map(String)));
  return {
    dims: program.dims
      .filter((d) => own.has(d.name))
      .map((d) => `${d.name} ≤ ${d.bound}`)
      .join(', '),
    counts: {
      units: units.length,
      functions: program.functions.length,
      kernels: program.pipelines.length,
      params: elements(params.filter((p) => !p.table)),
      trained: elements(params.filter((p) => p.trainable)),
    },
    rates: RATES.map((rate) => {
      const report = costs(program, linker, uniformDrop(units, rate, 0), boundsOf(program));
      return { rate, flops: amount(flopsOf(report), 'FLOP'), saved: amount(report.savedBytes, 'B'), peak: amount(report.peakBytes, 'B') };
    }),
    inputs: program.inputs.map((i) => i.name),
    device,
  };
}

/** Says where nothing had to be done for packed sequences. @throws EbbError for a definition that does not take positions */
function checkPacks(model: string, { canTakePositions }: SourceDescription, { module }: TracedModel, watch: Watch): void {
  if (mainOf(module).params.some(({ value }) => value.name === 'positions')) return;
  if (canTakePositions !== true)
    throw new EbbError(`${option('pack')}: ${model} is a definition without an input positions i32 [B, T]; declare one, or leave ${option('pack')} out`);
  tell(watch, `${option('pack')} changes nothing: the model sees only how far tokens are from each other, so its trainer takes packed sequences anyway`);
}

/** What a model is compiled for. */
export interface CompileSubject {
  readonly profile: DeviceProfile;
  /** The schedules that were measured on it; null where none were. */
  readonly schedules: ScheduleBook | null;
}

/**
 * Compiles a definition or a checkpoint, whose weights may be missing, for a device, and writes the folder.
 * @throws EbbError for a model that cannot be trained, for sizes that it does not have, and for a folder that cannot be written
 */
export async function compileTo(model: string, flags: CompileFlags, { profile, schedules }: CompileSubject, watch: Watch = {}): Promise<CompileReport> {
  checkFolder(flags.out);
  const started = performance.now();
  captureLocations(true);
  const source = await describeSource(model, flags.dtype, watch);
  tellAdapter(watch, flags.lora?.existing, model);
  checkSizes(model, source, flags);
  const traced = source.trace({ batch: flags.batch, length: flags.length, lora: flags.lora, restarts: flags.pack });
  if (flags.pack) checkPacks(model, source, traced, watch);
  checkTrains(model, traced);
  const { matmulPrecision } = flags;
  const compiledFor = compileDeviceOf({ device: { profile }, matmulPrecision, ...(schedules ? { choose: bookChooser(schedules) } : {}) });
  const inspected = inspect(traced, compiledFor);
  const { compiled, joint, kernels } = inspected;
  const { program, stages } = compiled;
  const compileMs = performance.now() - started;
  const sizes = boundsOf(program);
  const linker = inspectionLinker(program);
  const { units } = traced;
  const about = { ...source.about(traced, flags.lora), ...(matmulPrecision === 'f32' ? {} : { matmulPrecision }) };
  const files = packageFiles({
    program,
    about,
    requires: requirementsOf(inspected, profile),
    stages: { ...stages, grad: { dims: stages.trace.dims, funcs: joint } },
    kernels: [...new Set(kernels.flat())],
    units: unitCosts(program, linker, units, sizes),
    dropRate: flags.dropRate,
    ebb: MANIFEST.version,
    standalone: flags.standalone ? { webgpu: dependencyRange('webgpu') } : null,
    readme: readmeNumbers(traced, program, linker, deviceText(profile)),
  });
  watch.signal?.throwIfAborted();
  const inputs = inputsOf({ 'the model': model, [option('adapter')]: flags.lora?.existing?.path });
  await writeFolder(flags.out, files, traced, { standalone: flags.standalone, inputs });
  const writeMs = performance.now() - started - compileMs;
  return {
    out: flags.out,
    device: deviceText(profile),
    units: units.length,
    functions: program.functions.length,
    kernels: program.pipelines.length,
    compileMs,
    writeMs,
  };
}
