/** @file What kind of device an adapter is, from what WebGPU tells of it. */

/** Vendors of GPUs, and software adapters: what schedules are chosen by. */
export type AdapterKind = 'nvidia' | 'apple' | 'amd' | 'intel' | 'lavapipe' | 'swiftshader' | 'other';

/** Finds the kind of an adapter by the vendor, architecture and description of `adapter.info`, in upper or lower case. */
export function adapterKind(info: { readonly vendor: string; readonly architecture: string; readonly description: string }): AdapterKind {
  const text = `${info.vendor} ${info.architecture} ${info.description}`.toLowerCase();
  if (text.includes('llvmpipe') || text.includes('lavapipe')) return 'lavapipe';
  if (text.includes('swiftshader')) return 'swiftshader';
  for (const kind of ['nvidia', 'apple', 'amd', 'intel'] as const) if (text.includes(kind)) return kind;
  return /radeon|\bati\b/.test(text) ? 'amd' : 'other';
}

const SOFTWARE: readonly AdapterKind[] = ['lavapipe', 'swiftshader'];

/** Better adapters have smaller ranks: real GPUs, lavapipe, SwiftShader. */
export function adapterRank(kind: AdapterKind): number {
  return SOFTWARE.indexOf(kind) + 1;
}
