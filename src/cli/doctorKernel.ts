/** @file The matmul that `ebb doctor` and bench/ time: Ebb's own kernel, cut by a schedule. */

import type { KernelBuilder } from '../codegen/kernel/builder.ts';
import type { DeviceTraits } from '../codegen/kernel/device.ts';
import { add, mul, u32 } from '../codegen/kernel/expr.ts';
import { type MatmulSchedule, matmul } from '../codegen/kernel/matmul/matmul.ts';
import { defaultMatmulSchedule } from '../codegen/kernel/matmul/standard.ts';
import { printWgsl } from '../codegen/targets/wgsl/print.ts';
import { createPipelines } from '../runtime/webgpu/pipelines.ts';

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

/** The schedule that a device starts with for such a matmul. */
export function matmulStandard(traits: DeviceTraits, size: MatmulSize): MatmulSchedule {
  return defaultMatmulSchedule(traits, { a: 'k', b: 'mn' }, size);
}

export async function matmulKernel(device: GPUDevice, size: MatmulSize, schedule: MatmulSchedule): Promise<MatmulKernel> {
  const { m, n, k } = size;
  const kernel = productKernel(size, schedule);
  const [pipeline] = await createPipelines(device, [
    { name: kernel.name, wgsl: printWgsl(kernel), access: kernel.buffers.map((b) => b.access), moves: [false, false, false], features: [] },
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

function productKernel({ m, n, k }: MatmulSize, schedule: MatmulSchedule): ReturnType<typeof matmul> {
  return matmul(
    {
      name: 'measured_matmul',
      batch: { of: [1] },
      m: { of: [m] },
      n: { of: [n] },
      results: 1,
      loops: [
        {
          k: { of: [k] },
          products: [
            {
              a: (b) => {
                const buffer = b.buffer('a', 'vec4f', 'read');
                return { vectorAxis: 'k', load: (_b, at, width) => element(buffer, add(mul(at.mn, u32(k)), at.k), width) };
              },
              b: (b) => {
                const buffer = b.buffer('b', 'vec4f', 'read');
                return { vectorAxis: 'mn', load: (_b, at, width) => element(buffer, add(mul(at.k, u32(n)), at.mn), width) };
              },
              into: 0,
            },
          ],
        },
      ],
      store: (b) => {
        const buffer = b.buffer('c', 'vec4f', 'read_write');
        return {
          vectorAxis: 'n',
          store: (_b, at, [value = u32(0)]) => buffer.store({ kind: 'bin', type: 'u32', op: '/', a: add(mul(at.m, u32(n)), at.n), b: u32(4) }, value),
        };
      },
      dim: (symbol) => {
        throw new Error(`internal: ${symbol} in a matmul of constant sizes`);
      },
    },
    schedule,
  );
}

type Buffer = ReturnType<KernelBuilder['buffer']>;
function element(buffer: Buffer, at: ReturnType<typeof u32>, width: 1 | 4): ReturnType<typeof u32> {
  const four = buffer.load({ kind: 'bin', type: 'u32', op: '/', a: at, b: u32(4) });
  return width === 4 ? four : { kind: 'component', type: 'f32', of: four, index: { kind: 'bin', type: 'u32', op: '%', a: at, b: u32(4) } };
}
