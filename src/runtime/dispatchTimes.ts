/** @file How long each dispatch of a step takes on the device: every one in a pass of its own, between two timestamps. */

import { EbbError } from '../errors.ts';
import { USAGE } from './buffers.ts';
import type { PassSource } from './encode.ts';
import { dispatchBytes, dispatchFlops, type FunctionDecl, type Program, type Sizes } from './program.ts';
import type { PlannedCall } from './updatePhase.ts';

/** One dispatch of a step, measured. */
export interface DispatchTime {
  /** Which call of the program it belongs to: its site, or `update`. */
  readonly site: string;
  readonly phase: PlannedCall['phase'];
  readonly function: string;
  readonly kernel: string;
  /** Nanoseconds on the device's clock from the first dispatch of the step. */
  readonly start: number;
  readonly end: number;
  readonly flops: number;
  /** Bytes of everything it binds, each once. */
  readonly bytes: number;
}

/** What a dispatch is, beside its times. */
type DispatchLabel = Omit<DispatchTime, 'start' | 'end'>;

/** Collects timestamps while a step is encoded. */
export interface TimestampRecorder {
  /** The timestamps of the next pass. */
  next(label: DispatchLabel): GPUComputePassTimestampWrites;
  /** Encodes the copies to read from; before the encoder is finished. */
  resolve(encoder: GPUCommandEncoder): void;
  /** Waits for the device. */
  read(): Promise<DispatchTime[]>;
}

/** Queries a set may hold (WebGPU's limit). */
const PER_SET = 4096;

/** @throws EbbError where the device has no timestamps */
export function timestampRecorder(device: GPUDevice, dispatches: number): TimestampRecorder {
  if (!device.features.has('timestamp-query'))
    throw new EbbError('this device measures no time (it has no timestamp-query); choose another with --adapter, or leave --profile out');
  const sets = Array.from({ length: Math.ceil((2 * dispatches) / PER_SET) }, (_, i) => {
    const count = Math.min(PER_SET, 2 * dispatches - i * PER_SET);
    return {
      count,
      set: device.createQuerySet({ type: 'timestamp', count }),
      resolved: device.createBuffer({ size: count * 8, usage: USAGE.queryResolve | USAGE.copySrc }),
      staging: device.createBuffer({ size: count * 8, usage: USAGE.copyDst | USAGE.mapRead }),
    };
  });
  const labels: DispatchLabel[] = [];
  return {
    next(label) {
      const at = 2 * labels.length;
      const home = sets[Math.floor(at / PER_SET)];
      if (!home) throw new Error('internal: more dispatches than timestamps');
      labels.push(label);
      return { querySet: home.set, beginningOfPassWriteIndex: at % PER_SET, endOfPassWriteIndex: (at % PER_SET) + 1 };
    },
    resolve(encoder) {
      sets.forEach(({ set, count, resolved, staging }, i) => {
        const used = Math.min(count, 2 * labels.length - i * PER_SET);
        if (used <= 0) return;
        encoder.resolveQuerySet(set, 0, used, resolved, 0);
        encoder.copyBufferToBuffer(resolved, 0, staging, 0, used * 8);
      });
    },
    async read() {
      const stamps: bigint[] = [];
      for (const { set, resolved, staging } of sets) {
        await staging.mapAsync(USAGE.mapRead);
        stamps.push(...new BigUint64Array(staging.getMappedRange()));
        set.destroy();
        resolved.destroy();
        staging.destroy();
      }
      const first = stamps[0] ?? 0n;
      return labels.map((label, i) => ({ ...label, start: Number((stamps[2 * i] ?? first) - first), end: Number((stamps[2 * i + 1] ?? first) - first) }));
    },
  };
}

/** Passes of a measured step: a pass for each dispatch. `end` closes the last one and encodes what is read; the encoder takes no more passes. */
export function measuredPasses(
  program: Program,
  bounds: Sizes,
  encoder: GPUCommandEncoder,
  recorder: TimestampRecorder,
): { readonly passes: PassSource; end(): void } {
  let pass: GPUComputePassEncoder | null = null;
  return {
    passes(dispatch, { fn, site, phase, sizes }) {
      const decl = program.functions[fn] as FunctionDecl;
      const at = { ...bounds, ...sizes };
      const label: DispatchLabel = {
        site,
        phase,
        function: decl.name,
        kernel: program.pipelines[dispatch.pipeline]?.name ?? '',
        flops: dispatchFlops(dispatch, at),
        bytes: dispatchBytes(decl, dispatch, at),
      };
      pass?.end();
      pass = encoder.beginComputePass({ timestampWrites: recorder.next(label) });
      return pass;
    },
    end() {
      pass?.end();
      recorder.resolve(encoder);
    },
  };
}
