/**
 * WebGPU as a browser's page would find it, on the adapter that Ebb would take: `navigator.gpu` on Dawn, with the flags Ebb uses itself
 * (bounds checks of the driver off), so that libraries meet on equal terms.
 */

import { availableParallelism } from 'node:os';
import { chooseAdapter, listAdapters } from '../../src/node/adapter.ts';
import { prepareVulkan } from '../../src/node/vulkan.ts';

/** Sets up globals. Returns the name of the adapter. */
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
