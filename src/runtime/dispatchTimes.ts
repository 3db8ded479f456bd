/** @file How long each dispatch of a step takes on the device: which it is, beside its span on a timeline. */

import { at } from '../errors.ts';
import type { Device, Timeline } from './device.ts';
import type { OnDispatch } from './encode.ts';
import { dispatchBytes, dispatchFlops, type Program, type Sizes } from './program.ts';
import type { StepCall } from './stepCall.ts';

/** One dispatch of a step, measured. */
export interface DispatchTime {
  /** Which call of the program it belongs to: its site, or `update`. */
  readonly site: string;
  readonly phase: StepCall['phase'];
  readonly function: string;
  readonly kernel: string;
  /** Nanoseconds on the device's clock from the first dispatch of the step. */
  readonly start: number;
  readonly end: number;
  readonly flops: number;
  /** Bytes of everything it binds, each once. */
  readonly bytes: number;
}

/** Notes what is measured while a step is recorded. */
export interface DispatchLog {
  readonly timeline: Timeline;
  readonly note: OnDispatch;
  /** The dispatches with their times. Waits for the device; to be called once. */
  times(): Promise<readonly DispatchTime[]>;
}

/** A log of at most so many dispatches. @throws EbbError where the device cannot measure time */
export function dispatchLog(device: Device, program: Program, bounds: Sizes, dispatches: number): DispatchLog {
  const timeline = device.timeline(dispatches);
  const noted: Omit<DispatchTime, 'start' | 'end'>[] = [];
  return {
    timeline,
    note(dispatch, { fn, site, phase, sizes }) {
      const decl = at(program.functions, fn);
      const sized = { ...bounds, ...sizes };
      noted.push({
        site,
        phase,
        function: decl.name,
        kernel: at(program.pipelines, dispatch.pipeline).name,
        flops: dispatchFlops(dispatch, sized),
        bytes: dispatchBytes(decl, dispatch, sized),
      });
    },
    async times() {
      const spans = await timeline.read();
      return noted.map((label, i) => ({ ...label, ...at(spans, i) }));
    },
  };
}
