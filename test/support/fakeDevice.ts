/** @file As much of a device as parameters need: buffers that are bytes of this process, copies, and what is still staged. */

export interface FakeDevice {
  readonly device: Pick<GPUDevice, 'queue' | 'createBuffer' | 'createCommandEncoder'>;
  /** A buffer of so many bytes, each 0xaa. */
  readonly buffer: (bytes: number) => GPUBuffer;
  readonly bytesOf: (buffer: GPUBuffer) => Uint8Array;
  /** Bytes that were written and that nobody waited for. */
  readonly staged: () => number;
}

/** @throws Error where WebGPU would refuse a write or a copy */
export function fakeDevice(): FakeDevice {
  const contents = new Map<unknown, Uint8Array<ArrayBuffer>>();
  let staged = 0;
  let submitted = 0;
  const bytesOf = (buffer: unknown): Uint8Array<ArrayBuffer> => {
    const found = contents.get(buffer);
    if (!found) throw new Error('no buffer of this device');
    return found;
  };
  const make = (size: number, fill: number): GPUBuffer => {
    const bytes = new Uint8Array(size).fill(fill);
    const buffer = { mapAsync: async () => {}, getMappedRange: () => bytes.buffer, destroy: () => void contents.delete(buffer) };
    contents.set(buffer, bytes);
    return buffer as unknown as GPUBuffer;
  };
  const whole = (...numbers: number[]): void => {
    if (numbers.some((n) => n % 4 !== 0)) throw new Error(`not whole words: ${numbers}`);
  };
  const queue = {
    writeBuffer(buffer: GPUBuffer, offset: number, data: ArrayBuffer, from: number, length: number) {
      whole(offset, length);
      if (offset + length > bytesOf(buffer).length) throw new Error('a write ends behind the buffer');
      bytesOf(buffer).set(new Uint8Array(data, from, length), offset);
      staged += length;
    },
    submit: () => void (submitted = staged),
    async onSubmittedWorkDone() {
      staged -= submitted;
      submitted = 0;
    },
  };
  const createCommandEncoder = () => ({
    copyBufferToBuffer(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, size: number) {
      whole(fromOffset, toOffset, size);
      bytesOf(to).set(bytesOf(from).subarray(fromOffset, fromOffset + size), toOffset);
    },
    finish: () => ({}),
  });
  const device = { queue, createBuffer: ({ size }: GPUBufferDescriptor) => make(size, 0), createCommandEncoder };
  return { device: device as unknown as FakeDevice['device'], buffer: (bytes) => make(bytes, 0xaa), bytesOf, staged: () => staged };
}
