/** @file Section 1: the matmuls of spec.json in turns. Every product is compared with one in f64. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, get } from '../../src/errors.ts';
import { type Contest, inTurns, type Log } from '../contest.ts';
import type { MatmulRequest } from '../protocol.ts';
import { SPEC } from '../spec.ts';
import { median, minimum } from '../stats.ts';
import { shown, table } from '../table.ts';

export interface MatmulResult {
  readonly contestant: string;
  readonly size: string;
  readonly flops: number;
  /** Milliseconds of one product, in each round. */
  readonly ms: readonly number[];
  /** The largest difference from the product in f64. */
  readonly error: number;
}

/** A turn multiplies for about this long, so that the time of short products is not all launching and waiting. */
const TURN_MS = 60;

type Size = readonly [m: number, n: number, k: number];

/** Times all products. */
export async function matmuls(contest: Contest, rounds: number, limit: number, log: Log): Promise<MatmulResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'ebb-bench-'));
  try {
    const results: MatmulResult[] = [];
    for (const size of SPEC.matmuls) {
      const found = await matmulOf(contest, size, folder, rounds, limit);
      results.push(...found);
      log(`${nameOf(size)}: ${found.map((r) => `${r.contestant} ${shown(gflops(r.flops, minimum(r.ms)), 1)}`).join(', ')} GFLOP/s`);
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function matmulOf(contest: Contest, size: Size, folder: string, rounds: number, limit: number): Promise<MatmulResult[]> {
  const [m, n, k] = size;
  const operands = [operand(m * k, 7919), operand(k * n, 104729)] as const;
  const [a, b] = operands.map((data, i) => {
    const path = join(folder, `operand${i}.bin`);
    writeFileSync(path, data);
    return path;
  }) as [string, string];
  const expected = product(operands[0], operands[1], size);
  const request: MatmulRequest = { do: 'matmul', m, n, k, a, b, c: null, times: 1 };
  const errors = await contest.each(async (client) => {
    const c = join(folder, `${client.entry.name}.bin`);
    await client.ask({ ...request, c });
    const error = difference(floats(readFileSync(c)), expected);
    if (!(error < 1e-3)) throw new Error(`${client.entry.name}: its product of ${nameOf(size)} is off by ${error}`);
    return error;
  });
  const times = await contest.each(async (client) => {
    const { ms } = await client.ask(request);
    return Math.max(1, Math.min(200, Math.round(TURN_MS / ms)));
  });
  const done = await inTurns(contest, rounds, limit, async (client) => (await client.ask({ ...request, times: get(times, client.entry.name) })).ms);
  return [...done].map(([contestant, ms]) => ({ contestant, size: nameOf(size), flops: 2 * m * n * k, ms, error: get(errors, contestant) }));
}

const nameOf = ([m, n, k]: Size): string => (m === n && n === k ? `${m}³` : `${m}×${n}×${k}`);
const gflops = (flops: number, ms: number): number => flops / ms / 1e6;

/** Numbers in [−0.5, 0.5) without a visible pattern. */
function operand(length: number, factor: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((i * factor) % 65521) / 65521 - 0.5);
}

/** The product c = a b in f64, where a is [m, k] and b is [k, n]. */
function product(a: Float32Array, b: Float32Array, [m, n, k]: Size): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++)
    for (let p = 0; p < k; p++) {
      const left = at(a, i * k + p);
      for (let j = 0; j < n; j++) c[i * n + j] = (c[i * n + j] as number) + left * (b[p * n + j] as number);
    }
  return c;
}

function floats(bytes: Buffer): Float32Array {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** The largest difference, or NaN where a number is NaN. */
function difference(found: Float32Array, expected: Float64Array): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (const [i, value] of expected.entries()) {
    const off = Math.abs(at(found, i) - value);
    // this comparison also takes a NaN, which then stays
    if (!(off <= largest)) largest = off;
  }
  return largest;
}

/** Writes the table. */
export function matmulTable(results: readonly MatmulResult[]): string {
  const sizes = [...new Set(results.map((r) => r.size))];
  const names = [...new Set(results.map((r) => r.contestant))];
  const rows = names.map((name) => {
    const own = results.filter((r) => r.contestant === name);
    const cells = sizes.map((size) => {
      const found = own.find((r) => r.size === size);
      return found ? `${shown(gflops(found.flops, minimum(found.ms)), 1)} (${shown(gflops(found.flops, median(found.ms)), 1)})` : '–';
    });
    return [name, ...cells, Math.max(...own.map((r) => r.error)).toExponential(1)];
  });
  return table(['GFLOP/s, best (median)', ...sizes, 'largest error'], rows);
}
