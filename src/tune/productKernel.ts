/** @file One product of two matrices by Ebb's own kernel, cut by a schedule: what `ebb doctor` and bench/ time. */

import type { BufferRef } from '../codegen/kernel/builder.ts';
import type { DeviceTraits } from '../codegen/kernel/device.ts';
import { add, component, div, mul, rem, u32 } from '../codegen/kernel/expr.ts';
import type { Expr, Kernel } from '../codegen/kernel/ir.ts';
import { matmul, matmulBuilder } from '../codegen/kernel/matmul/matmul.ts';
import type { MatmulSchedule } from '../codegen/kernel/matmul/schedule.ts';
import type { MatmulProduct } from '../codegen/kernel/matmul/spec.ts';
import { standardMatmul } from '../codegen/kernel/matmul/standard.ts';
import { type MatmulWork, SINGLE } from '../codegen/kernel/matmul/work.ts';
import { moduleOf } from '../codegen/targets/target.ts';
import { targetNamed } from '../codegen/targets/targets.ts';
import { BLOCK_BYTES, type BufferRequest, type Device, type DeviceBuffer, type Recording } from '../runtime/device.ts';
import { address } from '../runtime/link/address.ts';

/** The sizes of a product of a, [m, k], and b, [k, n]. n and k are multiples of 4. */
export interface MatmulSize {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** A matmul that is ready to run. Operands and product are f32 and lie row by row. */
export interface MatmulKernel {
  readonly a: DeviceBuffer;
  readonly b: DeviceBuffer;
  readonly c: DeviceBuffer;
  /** Records one product. */
  record(recording: Recording): void;
  destroy(): void;
}

/** Describes such a matmul to the choice of schedules. */
export const matmulWork = (sizes: MatmulSize): MatmulWork => ({ sizes, layout: { a: 'k', b: 'mn' }, load: SINGLE, precision: 'f32' });

/** The standard schedule of such a matmul on a device, restricted to one kernel. */
export function matmulStandard(traits: DeviceTraits, size: MatmulSize): MatmulSchedule {
  return { ...standardMatmul(traits, matmulWork(size)), kGroups: 1 };
}

/** Compiles a matmul and allocates its matrices. @throws EbbError where the kernel does not compile, or the device has too little memory */
export async function matmulKernel(device: Device, size: MatmulSize, schedule: MatmulSchedule): Promise<MatmulKernel> {
  const { m, n, k } = size;
  const kernel = productKernel(size, schedule);
  const access = kernel.buffers.map((buffer) => buffer.access);
  const pipeline = await device.pipeline({
    name: kernel.name,
    code: moduleOf(targetNamed(device.profile.target), kernel),
    access,
    moves: access.map(() => false),
  });
  const matrices = { a: m * k, b: k * n, c: m * n };
  const requests = Object.entries(matrices).map(([name, elements]): BufferRequest => ({ name, bytes: 4 * elements, use: 'data' }));
  const [blocks, a, b, c] = (await device.allocate([{ name: 'parameters', bytes: BLOCK_BYTES, use: 'blocks' }, ...requests])) as readonly [
    DeviceBuffer,
    DeviceBuffer,
    DeviceBuffer,
    DeviceBuffer,
  ];
  const buffers = [a, b, c];
  const launch = device.launch(
    pipeline,
    { buffers, blocks },
    buffers.map((buffer) => buffer.bytes),
  );
  const addresses = buffers.map((_, i) => address(i, 0));
  const groups = kernel.grid.map((axis) => Math.ceil(axis.of.reduce<number>((p, d) => p * Number(d), 1) / axis.per)) as [number, number, number];
  return {
    a,
    b,
    c,
    record: (recording) => recording.dispatch(launch, 0, addresses, ...groups),
    destroy() {
      for (const buffer of [blocks, ...buffers]) buffer.destroy();
    },
  };
}

function productKernel({ m, n, k }: MatmulSize, schedule: MatmulSchedule): Kernel {
  const b = matmulBuilder('measured_matmul', schedule);
  const [left, right, out] = [b.buffer('a', 'vec4f', 'read'), b.buffer('b', 'vec4f', 'read'), b.buffer('c', 'vec4f', 'read_write')];
  const product: MatmulProduct = {
    a: { vectorAxis: 'k', load: (at, width) => element(left, add(mul(at.mn, u32(k)), at.k), width) },
    b: { vectorAxis: 'mn', load: (at, width) => element(right, add(mul(at.k, u32(n)), at.mn), width) },
    into: 0,
  };
  return matmul(
    b,
    {
      batch: { of: [1] },
      m: { of: [m] },
      n: { of: [n] },
      results: 1,
      loops: [{ k: { of: [k] }, products: [product] }],
      store: { vectorAxis: 'n', store: (at, [value = u32(0)]) => out.store(div(add(mul(at.m, u32(n)), at.n), u32(4)), value) },
      dim: (symbol) => {
        throw new Error(`internal: ${symbol} in a matmul of constant sizes`);
      },
    },
    schedule,
  );
}

function element(buffer: BufferRef, at: Expr, width: 1 | 4): Expr {
  const four = buffer.load(div(at, u32(4)));
  return width === 4 ? four : component(four, rem(at, u32(4)));
}
