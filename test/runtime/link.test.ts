/** @file Linking: over random patterns no two live values share bytes, bounds hold, dropped units leave nothing, and work is in proportion to the units. */

import * as fc from 'fast-check';
import { bytesReadBack } from '../../bench/saved.ts';
import { BUFFERS, bufferOf, offsetOf } from '../../src/runtime/link/address.ts';
import type { Form } from '../../src/runtime/link/forms.ts';
import { aligned } from '../../src/runtime/link/layout.ts';
import type { LinkedCall, Variant } from '../../src/runtime/link/linked.ts';
import { extentBytes } from '../../src/runtime/program.ts';
import { counted } from '../support/counted.ts';
import { type LinkedModel, linkedModel, linkerOf } from '../support/linkers.ts';

const MODELS = {
  'llama, full': linkedModel({ numLayers: 4 }),
  'llama, LoRA': linkedModel({ numLayers: 4, lora: true }),
  'llama, a vocabulary in parts': linkedModel({ numLayers: 3, hiddenSize: 16, vocabSize: 150, logitsKept: 64 * 4 * 18 }),
  'gpt2, full': linkedModel({ kind: 'gpt2', numLayers: 3 }),
};

const pattern = (units: readonly string[], ...more: readonly Form[]): fc.Arbitrary<Map<string, Form>> =>
  fc
    .array(fc.constantFrom<Form>('full', 'full', 'dropped', 'remat', ...more), { minLength: units.length, maxLength: units.length })
    .map((forms) => new Map(units.map((u, i) => [u, forms[i]!])));

interface Touch {
  readonly at: number;
  readonly bytes: number;
  readonly buffer: number;
}
const touches = ({ program, sizes }: LinkedModel, call: LinkedCall, slots: Iterable<number>): Touch[] =>
  [...slots].flatMap((s) => {
    const at = call.slots[s] ?? -1;
    const bytes = aligned(extentBytes(program.functions[call.fn]!.slots[s]!.extent, sizes));
    return at < 0 ? [] : [{ at: offsetOf(at), buffer: bufferOf(at), bytes }];
  });
const overlap = (a: Touch, b: Touch): boolean => a.buffer === b.buffer && a.at < b.at + b.bytes && b.at < a.at + a.bytes;
const same = (a: Touch, b: Touch): boolean => a.buffer === b.buffer && a.at === b.at;

/** Replays a variant as writes and reads of byte ranges; every read must find what was last written there under the same name. */
function replay(model: LinkedModel, variant: Variant): { reads: number } {
  const { program } = model;
  /** What each range of the stack, the slots and the results holds: an id given by its writer. */
  let held: { range: Touch; id: string; call: number }[] = [];
  const ids = new Map<string, string>();
  let reads = 0;
  variant.calls.forEach((call, n) => {
    if (call.phase === 'sum') return;
    const fn = program.functions[call.fn]!;
    const paramSlots = new Set(fn.params.map((p) => p.slot));
    const written = new Set(fn.params.filter((p) => p.role !== 'scalar').map((p) => p.slot));
    fn.dispatches.forEach((dispatch, d) => {
      const pipeline = program.pipelines[dispatch.pipeline]!;
      dispatch.slots.forEach((s, b) => {
        const [touch] = touches(model, call, [s]);
        if (!touch || touch.buffer > BUFFERS.slots) return;
        const key = `${n}:${s}`;
        const param = fn.params.findIndex((p) => p.slot === s);
        if (param >= 0) {
          // an argument: exactly what another call left there, whole; a saved one what this call's own forward left
          const found = held.find((h) => same(h.range, touch) && h.range.bytes === touch.bytes);
          expect({ fn: fn.name, slot: fn.slots[s]!.name, found: found !== undefined }).toEqual({ fn: fn.name, slot: fn.slots[s]!.name, found: true });
          const { role } = fn.params[param]!;
          if (role === 'saved' && call.phase === 'backward') expect(found!.call).toBe(call.call);
          reads++;
        }
        if (written.has(s) && !paramSlots.has(s)) {
          // read again inside the function: nothing may have been written over it
          const found = held.find((h) => same(h.range, touch) && h.range.bytes === touch.bytes);
          expect({ fn: fn.name, dispatch: d, slot: fn.slots[s]!.name, id: found?.id }).toEqual({
            fn: fn.name,
            dispatch: d,
            slot: fn.slots[s]!.name,
            id: ids.get(key),
          });
          reads++;
        } else if (!written.has(s) && pipeline.access[b] === 'read_write') {
          held = held.filter((h) => !overlap(h.range, touch));
          ids.set(key, `${fn.name}#${n}.${fn.slots[s]!.name}`);
          held.push({ range: touch, id: ids.get(key)!, call: call.call });
          written.add(s);
        }
      });
    });
  });
  return { reads };
}

describe.each(Object.entries(MODELS))('%s', (_name, model) => {
  const { linker, units, program, sizes } = model;

  it('values live at once never share bytes, and no variant exceeds the bounds', () => {
    const bounds = linker.bounds(['full', 'dropped', 'skipped', 'remat']);
    fc.assert(
      fc.property(pattern(units, 'skipped'), (forms) => {
        const variant = linker.link(forms);
        expect(variant.stackBytes).toBeLessThanOrEqual(bounds.stackBytes);
        expect(variant.slotBytes).toBeLessThanOrEqual(bounds.slotBytes);
        expect(variant.savedBytes).toBeLessThanOrEqual(variant.stackBytes);
        expect(replay(model, variant).reads).toBeGreaterThan(0);
        let peak = 0;
        for (const call of variant.calls)
          for (const t of touches(model, call, call.slots.keys())) if (t.buffer === BUFFERS.stack) peak = Math.max(peak, t.at + t.bytes);
        expect(peak).toBeLessThanOrEqual(variant.stackBytes);
      }),
      { numRuns: 40 },
    );
  });

  it('little is allocated that the pattern without dropped units does not use', () => {
    const whole = linker.link(new Map()).stackBytes;
    expect(linker.bounds(['full', 'dropped']).stackBytes).toBeGreaterThanOrEqual(whole);
    // the frontier's own form may keep a little more than the one that passes a gradient on
    expect(linker.bounds(['full', 'dropped']).stackBytes).toBeLessThan(1.1 * whole);
  });

  it('within a call, slots that are live in the same dispatch are apart unless one is written in place of the other', () => {
    fc.assert(
      fc.property(pattern(units), (forms) => {
        for (const call of linker.link(forms).calls) {
          if (call.phase === 'sum') continue;
          const fn = program.functions[call.fn]!;
          for (const dispatch of fn.dispatches) {
            const live = [...new Set(dispatch.slots)];
            const at = touches(model, call, live);
            at.forEach((a, i) => at.slice(i + 1).forEach((b) => expect(overlap(a, b) && !same(a, b)).toBe(false)));
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('dropped units have no backward call, save nothing, and touch no parameter', () => {
    const nothing = linker.link(new Map(units.map((u) => [u, 'dropped' as const])));
    const whole = linker.link(new Map());
    fc.assert(
      fc.property(pattern(units), (forms) => {
        const variant = linker.link(forms);
        const dropped = new Set(units.filter((u) => forms.get(u) === 'dropped'));
        for (const call of variant.calls)
          if (call.phase === 'backward' || call.phase === 'again') expect(dropped).not.toContain(program.calls[call.call]?.site);
        program.calls.forEach((call) => {
          if (!dropped.has(call.site)) return;
          for (const a of call.arguments)
            if (
              a.kind === 'param' &&
              program.params[a.param]!.trainable &&
              program.calls.filter((c) => c.arguments.some((x) => x.kind === 'param' && x.param === a.param)).length === 1
            )
              expect(variant.touched.has(a.param)).toBe(false);
        });
        expect(variant.savedBytes).toBeLessThanOrEqual(whole.savedBytes);
        expect(variant.savedBytes).toBeGreaterThanOrEqual(nothing.savedBytes);
      }),
      { numRuns: 40 },
    );
  });

  it('what a step saves is what its backwards read, byte for byte', () => {
    fc.assert(
      fc.property(fc.subarray([...units]), (dropped) => {
        const variant = linker.link(new Map(dropped.map((u) => [u, 'dropped' as const])));
        // parts of a vocabulary run their forward again
        if (!variant.calls.some((c) => c.phase === 'again')) expect(bytesReadBack(program, variant, sizes)).toBe(variant.savedBytes);
      }),
      { numRuns: 40 },
    );
  });

  it('skipped units run neither forward nor backward; all else is as if they were dropped', () => {
    fc.assert(
      fc.property(pattern(units, 'skipped', 'skipped'), (forms) => {
        const variant = linker.link(forms);
        const skipped = units.filter((u) => forms.get(u) === 'skipped');
        for (const call of variant.calls) expect(skipped).not.toContain(program.calls[call.call]?.site);
        const dropped = linker.link(new Map([...forms].map(([u, form]) => [u, form === 'skipped' ? 'dropped' : form])));
        expect(variant.kept).toEqual(dropped.kept);
        expect(variant.touched).toEqual(dropped.touched);
      }),
      { numRuns: 20 },
    );
  });

  it('units between which nothing trainable receives a gradient run no backward at all below the frontier', () => {
    const variant = linker.link(new Map(units.slice(0, -1).map((u) => [u, 'dropped' as const])));
    const frontier = program.calls.findIndex((c) => c.site === variant.frontier);
    for (const call of variant.calls) if (call.phase === 'backward') expect(call.call).toBeGreaterThanOrEqual(frontier);
  });
});

it('recomputing instead of saving gives the same calls, less saved, and one more forward each', () => {
  const { linker, units } = MODELS['llama, full'];
  const whole = linker.link(new Map());
  const remat = linker.link(new Map(units.map((u) => [u, 'remat' as const])));
  expect(remat.calls.filter((c) => c.phase === 'again')).toHaveLength(units.length);
  expect(remat.touched).toEqual(whole.touched);
  expect(remat.savedBytes).toBeLessThan(whole.savedBytes);
});

it('a pattern that was never seen is linked by work in proportion to its units', () => {
  /** Most reads of the program that a unit takes, over patterns of which none was linked before. */
  const readsOfUnit = (numLayers: number): number => {
    const { program, sizes, units } = linkedModel({ numLayers });
    const watched = counted(program);
    const linker = linkerOf(watched.data, sizes);
    expect(units).toHaveLength(2 * numLayers);
    const reads = Array.from({ length: 20 }, (_, k) => {
      const forms = new Map(units.map((u, i): [string, Form] => [u, ((i * 2654435761 + k * 40503) >>> 7) % 2 ? 'dropped' : 'full']));
      return watched.reads(() => linker.link(forms));
    });
    return Math.max(...reads) / units.length;
  };
  const [few, many] = [readsOfUnit(8), readsOfUnit(32)];
  expect(few).toBeGreaterThan(0);
  expect(many).toBeLessThan(1.2 * few);
});
