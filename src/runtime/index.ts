/** @file `ebb/runtime`: runs compiled programs; nothing that traces, passes or generates code, and nothing of Node. */

export { type AdapterKind, adapterKind, adapterRank } from './adapterKind.ts';
export type { Device, DeviceBuffer } from './device.ts';
export type { DeviceProfile } from './deviceProfile.ts';
export type { Exchange, GradientRange, StepGradients } from './exchange.ts';
export { createEngine, type Engine, type EngineOptions, type MicroBatch, type StepLosses, type StepOptions, type StepResult, type Update } from './execute.ts';
export type { LastingValues } from './lasting.ts';
export type { Form, Pattern } from './link/forms.ts';
export { createLinker, type Linker } from './link/link.ts';
export type { Variant } from './link/linked.ts';
export type { Program } from './program.ts';
export { openAdapter, webgpuDevice } from './webgpu/device.ts';
export type { WebgpuAdapter, WebgpuObject } from './webgpu/objects.ts';
