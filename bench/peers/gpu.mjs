/**
 * Sets up WebGPU as a page in a browser finds it: `navigator.gpu` on Dawn, with the adapter that Ebb would take and the flags that Ebb uses (the
 * driver's bounds checks are off), so that all libraries run under the same conditions.
 */

import { availableParallelism } from 'node:os';
import { chooseAdapter, listAdapters } from '../../src/node/adapter.ts';
import { prepareVulkan } from '../../src/node/vulkan.ts';

/** Sets up the globals of WebGPU. Returns the name of the adapter. */
export async function installGpu(wanted) {
  prepareVulkan();
  const { globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const asked = wanted === 'auto' ? (process.env.EBB_DEVICE ?? 'auto') : wanted;
  const { choice } = chooseAdapter(await listAdapters(), asked);
  installNavigator({ requestAdapter: async () => choice.adapter, getPreferredCanvasFormat: () => 'bgra8unorm' });
  return choice.name;
}

export function installNavigator(gpu) {
  const navigator = { gpu, userAgent: 'Node', hardwareConcurrency: availableParallelism() };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
}
