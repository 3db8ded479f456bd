/** @file WebGPU's objects as the package's types name them, so that whoever uses it needs no types of WebGPU. */

/** An adapter of WebGPU: a `GPUAdapter`. */
export interface WebgpuAdapter {
  readonly info: { readonly vendor: string; readonly architecture: string; readonly description: string };
  readonly features: { has(feature: string): boolean };
  readonly limits: object;
  requestDevice(descriptor?: object): Promise<object>;
}

/** A device of WebGPU: a `GPUDevice`. */
export interface WebgpuObject {
  readonly queue: object;
  readonly features: { has(feature: string): boolean };
  readonly limits: object;
  destroy(): void;
}
