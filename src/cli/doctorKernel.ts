/** @file The matmul that `ebb doctor` and bench/ time: Ebb's own kernel, cut by a schedule. */

import type { KernelBuilder } from '../codegen/kernel/builder.ts';
import type { DeviceTraits } from '../codegen/kernel/device.ts';
import { add, mul, u32 } from '../codegen/kernel/expr.ts';
import { type MatmulSchedule, matmul } from '../codegen/kernel/matmul/matmul.ts';
import { defaultMatmulSchedule } from '../codegen/kernel/matmul/standard.ts';
import { printWgsl } from '../codegen/targets/wgsl/print.ts';
import { BLOCK_BYTES, type BufferRequest, type Device, type DeviceBuffer, type Recording } from '../runtime/device.ts';
import { address } from '../runtime/link/address.ts';

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
  readonly a: DeviceBuffer;
  readonly b: DeviceBuffer;
  readonly c: DeviceBuffer;
  /** Records one product. */
  record(recording: Recording): void;
  destroy(): void;
}

/** The schedule that a device starts with for such a matmul. */
export function matmulStandard(traits: DeviceTraits, size: MatmulSize): MatmulSchedule {
  return defaultMatmulSchedule(traits, { a: 'k', b: 'mn' }, size);
}

/** @throws EbbError where the kernel does not compile, or memory is not enough */
export async function matmulKernel(device: Device, size: MatmulSize, schedule: MatmulSchedule): Promise<MatmulKernel> {
  const { m, n, k } = size;
  const kernel = productKernel(size, schedule);
  const access = kernel.buffers.map((buffer) => buffer.access);
  const pipeline = await device.pipeline({ name: kernel.name, code: printWgsl(kernel), access, moves: access.map(() => false) });
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
