/** @file The matmul that `ebb doctor` times: Ebb's own kernel with the schedule it would use. */

import type { KernelBuilder } from '../codegen/kernel/builder.ts';
import { add, mul, u32 } from '../codegen/kernel/expr.ts';
import { matmul } from '../codegen/kernel/matmul.ts';
import { type DeviceTraits, defaultMatmulSchedule } from '../codegen/kernel/schedule.ts';
import { printWgsl } from '../codegen/wgsl/print.ts';
import { createPipelines } from '../runtime/pipelines.ts';

/** Rows, columns and depth of the measured matmul. */
export const MEASURED_SIZE = 512;

export async function matmulKernel(device: GPUDevice, traits: DeviceTraits): Promise<{ run: (encoder: GPUCommandEncoder) => void; destroy: () => void }> {
  const n = MEASURED_SIZE;
  const size = { of: [n] };
  const kernel = matmul(
    {
      name: 'doctor_matmul',
      batch: { of: [1] },
      m: size,
      n: size,
      results: 1,
      loops: [
        {
          k: size,
          products: [
            {
              a: (b) => {
                const buffer = b.buffer('a', 'vec4f', 'read');
                return { vectorAxis: 'k', load: (_b, at, width) => element(buffer, add(mul(at.mn, u32(n)), at.k), width) };
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
          vectorN: true,
          store: (_b, at, [value = u32(0)]) => buffer.store({ kind: 'bin', type: 'u32', op: '/', a: add(mul(at.m, u32(n)), at.n), b: u32(4) }, value),
        };
      },
      dim: () => u32(n),
    },
    defaultMatmulSchedule(traits, { a: 'k', b: 'mn' }, { m: n, n, k: n }),
  );
  const [pipeline] = await createPipelines(device, [
    { name: kernel.name, wgsl: printWgsl(kernel), access: kernel.buffers.map((b) => b.access), moves: [false, false, false], features: [] },
  ]);
  if (!pipeline) throw new Error('internal: no pipeline');
  const uniform = device.createBuffer({ size: 256, usage: 0x40 });
  const buffers = [0, 1, 2].map(() => device.createBuffer({ size: n * n * 4, usage: 0x80 }));
  const group = device.createBindGroup({
    layout: pipeline.layout,
    entries: [{ binding: 0, resource: { buffer: uniform } }, ...buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } }))],
  });
  const groups = kernel.grid.map((axis) => Math.ceil(axis.of.reduce<number>((p, d) => p * Number(d), 1) / axis.per)) as [number, number, number];
  return {
    run(encoder) {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, group, [0]);
      pass.dispatchWorkgroups(...groups);
      pass.end();
    },
    destroy() {
      for (const b of [uniform, ...buffers]) b.destroy();
    },
  };
}

type Buffer = ReturnType<KernelBuilder['buffer']>;
function element(buffer: Buffer, at: ReturnType<typeof u32>, width: 1 | 4): ReturnType<typeof u32> {
  const four = buffer.load({ kind: 'bin', type: 'u32', op: '/', a: at, b: u32(4) });
  return width === 4 ? four : { kind: 'component', type: 'f32', of: four, index: { kind: 'bin', type: 'u32', op: '%', a: at, b: u32(4) } };
}
