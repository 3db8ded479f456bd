/** @file The minimum cut against trying every set of nodes. */

import * as fc from 'fast-check';
import { type CutGraph, minimumCut } from '../../src/passes/mincut.ts';

const graph = fc.integer({ min: 2, max: 8 }).chain((n) =>
  fc.record({
    capacity: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: n, maxLength: n }),
    pairs: fc.array(fc.tuple(fc.nat(n - 1), fc.nat(n - 1)), { maxLength: 14 }),
    sources: fc.uniqueArray(fc.nat(n - 1), { minLength: 1, maxLength: 2 }),
    sinks: fc.uniqueArray(fc.nat(n - 1), { minLength: 1, maxLength: 2 }),
  }),
);

/** Whether every path from a source to a sink passes a node of `cut`. */
function separates({ edges, sources, sinks }: CutGraph, cut: ReadonlySet<number>): boolean {
  const reached = new Set(sources.filter((s) => !cut.has(s)));
  for (const v of reached) for (const next of edges[v] ?? []) if (!cut.has(next)) reached.add(next);
  return sinks.every((t) => !reached.has(t));
}

it('separates at the least capacity', () => {
  fc.assert(
    fc.property(graph, ({ capacity, pairs, sources, sinks }) => {
      const edges = capacity.map((_, i) => pairs.filter(([a, b]) => a === i && a < b).map(([, b]) => b));
      const g: CutGraph = { capacity, edges, sources, sinks };
      const found = minimumCut(g);
      expect(separates(g, new Set(found))).toBe(true);
      const cost = (nodes: readonly number[]): number => nodes.reduce((sum, v) => sum + capacity[v]!, 0);
      let best = Number.POSITIVE_INFINITY;
      for (let mask = 0; mask < 2 ** capacity.length; mask++) {
        const nodes = capacity.flatMap((_, i) => (mask & (2 ** i) ? [i] : []));
        if (cost(nodes) < best && separates(g, new Set(nodes))) best = cost(nodes);
      }
      expect(cost(found)).toBe(best);
    }),
    { numRuns: 300 },
  );
});
