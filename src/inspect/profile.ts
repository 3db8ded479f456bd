/** @file Measured dispatches as tables by kernel and by unit, compared with what the device can do, and as a trace file for a viewer. */

import { at } from '../errors.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import { amount } from './report.ts';

/** The highest speeds that were measured on the device. */
export interface Roof {
  readonly gflops: number;
  readonly gbps: number;
}

/** The sums over a step of the dispatches under one name. */
export interface ProfileRow {
  readonly name: string;
  readonly dispatches: number;
  readonly ms: number;
  readonly flops: number;
  readonly bytes: number;
}

/** The measured dispatches of one step. */
export interface Profile {
  readonly ms: number;
  readonly dispatches: number;
  readonly roof: Roof;
  readonly byKernel: readonly ProfileRow[];
  readonly byUnit: readonly ProfileRow[];
}

const msOf = ({ start, end }: DispatchTime): number => (end - start) / 1e6;

/** Takes several measurements of one step, and returns for every dispatch its fastest one. */
export function fastest(steps: readonly (readonly DispatchTime[])[]): DispatchTime[] {
  return at(steps, 0).map((_, i) => steps.map((step) => at(step, i)).reduce((a, b) => (msOf(b) < msOf(a) ? b : a)));
}

function rowsBy(times: readonly DispatchTime[], name: (time: DispatchTime) => string): ProfileRow[] {
  const rows = new Map<string, ProfileRow>();
  for (const time of times) {
    const key = name(time);
    const { dispatches, ms, flops, bytes } = rows.get(key) ?? { dispatches: 0, ms: 0, flops: 0, bytes: 0 };
    rows.set(key, { name: key, dispatches: dispatches + 1, ms: ms + msOf(time), flops: flops + time.flops, bytes: bytes + time.bytes });
  }
  return [...rows.values()].sort((a, b) => b.ms - a.ms);
}

/** Sums the dispatches of a step by kernel, and by unit with forward and backward apart. The rows that take longest come first. */
export function profileOf(times: readonly DispatchTime[], roof: Roof): Profile {
  return {
    ms: times.reduce((sum, t) => sum + msOf(t), 0),
    dispatches: times.length,
    roof,
    byKernel: rowsBy(times, (t) => `@${t.function} ${t.kernel}`),
    byUnit: rowsBy(times, (t) => `${t.site || '(sums)'} ${t.phase}`),
  };
}

/** The share of the device's arithmetic or of its bandwidth that a row reaches, whichever is larger. */
function shareOf({ ms, flops, bytes }: ProfileRow, { gflops, gbps }: Roof): number {
  return Math.max(flops / (ms * 1e6) / gflops, bytes / (ms * 1e6) / gbps);
}

function table(title: string, rows: readonly ProfileRow[], { ms, roof }: Profile): string[] {
  const width = Math.max(title.length, ...rows.map((r) => r.name.length));
  const head = `${title.padEnd(width)}  runs        ms      %   GFLOP/s     GB/s  of the roof`;
  const lines = rows.map((r) => {
    const speed = (x: number): string => (r.ms > 0 ? (x / (r.ms * 1e6)).toFixed(2) : '-').padStart(8);
    const share = r.ms > 0 ? `${(100 * shareOf(r, roof)).toFixed(0)} %` : '-';
    return `${r.name.padEnd(width)}  ${String(r.dispatches).padStart(4)}  ${r.ms.toFixed(3).padStart(8)}  ${((100 * r.ms) / ms).toFixed(1).padStart(5)}  ${speed(r.flops)} ${speed(r.bytes)}  ${share.padStart(11)}`;
  });
  return [head, ...lines];
}

/** Writes both tables, and a line with the totals. */
export function profileText(profile: Profile): string {
  const { ms, dispatches, roof, byKernel, byUnit } = profile;
  const flops = byKernel.reduce((sum, r) => sum + r.flops, 0);
  return [
    ...table('kernel', byKernel, profile),
    '',
    ...table('unit', byUnit, profile),
    '',
    `${dispatches} dispatches, one at a time: ${ms.toFixed(1)} ms, ${amount(flops, 'FLOP')}, ${(flops / (ms * 1e6)).toFixed(2)} GFLOP/s; the device was measured at ${roof.gflops.toFixed(1)} GFLOP/s (matmul) and ${roof.gbps.toFixed(1)} GB/s (copies)`,
  ].join('\n');
}

/** Writes a trace file that chrome://tracing and Perfetto open: calls on one track, their kernels on another. Its times are in microseconds. */
export function traceFile(times: readonly DispatchTime[]): string {
  const kernels = times.map((t) => ({
    name: t.kernel,
    cat: t.phase,
    ph: 'X',
    ts: t.start / 1000,
    dur: (t.end - t.start) / 1000,
    pid: 1,
    tid: 2,
    args: { site: t.site, function: t.function, flops: t.flops, bytes: t.bytes, gflops: t.flops / (t.end - t.start), gbps: t.bytes / (t.end - t.start) },
  }));
  const calls: { name: string; start: number; end: number }[] = [];
  for (const t of times) {
    const name = `${t.site || '(sums)'} ${t.phase}`;
    const last = calls.at(-1);
    if (last?.name === name) last.end = t.end;
    else calls.push({ name, start: t.start, end: t.end });
  }
  const spans = calls.map(({ name, start, end }) => ({ name, ph: 'X', ts: start / 1000, dur: (end - start) / 1000, pid: 1, tid: 1 }));
  const names = ['calls', 'kernels'].map((name, i) => ({ name: 'thread_name', ph: 'M', pid: 1, tid: i + 1, args: { name } }));
  return `${JSON.stringify({ traceEvents: [...names, ...spans, ...kernels], displayTimeUnit: 'ms' })}\n`;
}
