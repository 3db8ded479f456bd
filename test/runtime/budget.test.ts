/** @file What the benchmark's model S costs, known without a device: dispatches a step, and memory that grows with the length, not with its square. */

import { tracedOf } from '../../bench/bare.ts';
import { type ModelSpec, modelSpec } from '../../bench/spec.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { address } from '../../src/runtime/link/address.ts';
import { createLinker } from '../../src/runtime/link/link.ts';
import { type Extent, extentBytes, type FunctionDecl, groupDispatches } from '../../src/runtime/program.ts';
import { planStorage } from '../../src/runtime/storage.ts';
import { planUpdates, updateCalls } from '../../src/runtime/updatePhase.ts';
import { CPU_DEVICE } from '../support/tinyModels.ts';

const GPU = { kind: 'nvidia', subgroups: true, subgroupSize: 32, maxInvocations: 1024, maxWorkgroupStorage: 32768 } as const;

function planned(spec: ModelSpec, traits: (typeof CPU_DEVICE)['traits'] = CPU_DEVICE.traits) {
  const { program } = compileModel(tracedOf(spec), { device: { ...CPU_DEVICE, traits }, optimizers: ['adamw'] });
  const bounds = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const storage = planStorage(program, bounds, { maxBufferSize: 2 ** 32, maxBinding: program.partBytes }, () => true);
  return { program, bounds, storage, linker: createLinker(program, storage.placement, bounds) };
}

/** On GPUs a product whose k is shared by workgroups takes two dispatches; it is one group. */
it.each([CPU_DEVICE.traits, GPU])('a step of S that drops nothing takes at most 42 + 24 · layers dispatches, compiled for $kind', (device) => {
  const spec = modelSpec('S');
  const { program, storage, linker } = planned(spec, device);
  const update = { optimizer: 'adamw', maxNorm: 1, alsoUntouched: false, scalar: () => 0 } as const;
  const places = { normParts: address(99, 0), norm: address(99, 0), clipScale: address(99, 0), counts: address(98, 0) };
  const all = storage.groups.map((_, i) => i);
  const calls = [...linker.link(new Map()).calls, ...updateCalls(planUpdates(program, storage, places, 'adamw'), update, all)];
  const dispatches = calls.reduce((sum, { fn }) => sum + groupDispatches(program.functions[fn] as FunctionDecl).length, 0);
  expect(dispatches).toBeGreaterThan(8 * spec.layers);
  expect(dispatches).toBeLessThanOrEqual(42 + 24 * spec.layers);
});

it('tiles of products are tallest where every step runs them: forward, and what is never dropped', () => {
  const { program } = planned(modelSpec('S'), { kind: 'lavapipe', subgroups: true, subgroupSize: 8, maxInvocations: 1024, maxWorkgroupStorage: 32768 });
  const rows = (name: string): Set<number> => {
    const { dispatches } = program.functions.find((fn) => fn.name === name) as FunctionDecl;
    return new Set(dispatches.filter(({ pipeline }) => /^dot_/.test(program.pipelines[pipeline]?.name ?? '')).map(({ grid }) => grid[1].per));
  };
  for (const name of ['attn.fwd', 'mlp.fwd', 'head.fwd', 'head.bwd']) expect(rows(name)).toEqual(new Set([32]));
  for (const name of ['attn.bwd', 'mlp.bwd']) expect(rows(name)).toEqual(new Set([16]));
});

describe('four layers of S at a length of 4096', () => {
  // logits are length × vocabulary: with fewer words, only what is quadratic reaches length × length
  const sized = (seq: number) => planned({ ...modelSpec('S'), vocab: 512, layers: 4, seq });

  it('hold at most 2.1 times the activations of 2048', () => {
    const bytes = [2048, 4096].map((seq) => {
      const { linker, storage } = sized(seq);
      const { stackBytes, slotBytes } = linker.bounds(['full', 'remat', 'dropped']);
      const { savedBytes } = linker.link(new Map());
      return { stackBytes, slotBytes, savedBytes, inputBytes: storage.inputBytes };
    });
    const [short, long] = bytes as [(typeof bytes)[0], (typeof bytes)[0]];
    for (const kind of ['stackBytes', 'slotBytes', 'savedBytes', 'inputBytes'] as const) {
      expect(long[kind]).toBeGreaterThan(1.5 * short[kind]);
      expect(long[kind]).toBeLessThanOrEqual(2.1 * short[kind]);
    }
  });

  it('hold no value and no buffer of length × length elements', () => {
    const { program, bounds } = sized(4096);
    const extents: Extent[] = [
      ...program.values.map((v) => v.extent),
      ...program.inputs.map((i) => i.extent),
      ...program.states.map((s) => s.extent),
      ...program.functions.flatMap((fn) => fn.slots.map((s) => s.extent)),
    ];
    const updates = { N: 1, Q: 1, G: 1 };
    for (const extent of extents) expect(extentBytes(extent, { ...bounds, ...updates })).toBeLessThan(4096 * 4096 * extent.bytes);
  });
});
