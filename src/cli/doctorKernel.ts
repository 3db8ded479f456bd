/** @file The matmul that `ebb doctor` and bench/ time: Ebb's own kernel, cut by a schedule. */

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
import { WGSL } from '../codegen/targets/wgsl/wgsl.ts';
import { createPipelines } from '../runtime/pipelines.ts';

/** Rows, columns and depth of the matmul that `ebb doctor` measures. */
export const MEASURED_SIZE = 512;

/** A [m,k] times b [k,n]; n and k are multiples of 4. */
export interface MatmulSize {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** A matmul ready to run: f32 operands and product, row-major. */
export interface MatmulKernel {
  readonly a: GPUBuffer;
  readonly b: GPUBuffer;
  readonly c: GPUBuffer;
  run(encoder: GPUCommandEncoder): void;
  destroy(): void;
}

const UNIFORM = 0x40;
const STORAGE = 0x80;
const COPIES = 0x4 | 0x8;

/** Such a matmul as schedules are chosen for it. */
export const matmulWork = (sizes: MatmulSize): MatmulWork => ({ sizes, layout: { a: 'k', b: 'mn' }, load: SINGLE, precision: 'f32' });

/** The schedule that a device starts with for such a matmul, in one kernel. */
export function matmulStandard(traits: DeviceTraits, size: MatmulSize): MatmulSchedule {
  return { ...standardMatmul(traits, matmulWork(size)), kGroups: 1 };
}

export async function matmulKernel(device: GPUDevice, size: MatmulSize, schedule: MatmulSchedule): Promise<MatmulKernel> {
  const { m, n, k } = size;
  const kernel = productKernel(size, schedule);
  const [pipeline] = await createPipelines(device, [
    { name: kernel.name, wgsl: moduleOf(WGSL, kernel), access: kernel.buffers.map((b) => b.access), moves: [false, false, false], features: [] },
  ]);
  if (!pipeline) throw new Error('internal: no pipeline');
  const uniform = device.createBuffer({ size: 256, usage: UNIFORM });
  const buffers = [m * k, k * n, m * n].map((elements) => device.createBuffer({ size: elements * 4, usage: STORAGE | COPIES }));
  const group = device.createBindGroup({
    layout: pipeline.layout,
    entries: [{ binding: 0, resource: { buffer: uniform } }, ...buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } }))],
  });
  const groups = kernel.grid.map((axis) => Math.ceil(axis.of.reduce<number>((p, d) => p * Number(d), 1) / axis.per)) as [number, number, number];
  const [a, b, c] = buffers as [GPUBuffer, GPUBuffer, GPUBuffer];
  return {
    a,
    b,
    c,
    run(encoder) {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, group, [0]);
      pass.dispatchWorkgroups(...groups);
      pass.end();
    },
    destroy() {
      for (const buffer of [uniform, ...buffers]) buffer.destroy();
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
