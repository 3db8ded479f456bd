/** @file Minimum vertex cut by augmenting paths (Ford & Fulkerson): which forward values to save for a backward. Graphs are small. */

export interface CutGraph {
  /** Bytes it costs to save node i; Infinity where it cannot be saved, 0 where it is at hand anyway. */
  readonly capacity: readonly number[];
  /** edges[i]: nodes computed from node i without leaving the backward. */
  readonly edges: readonly (readonly number[])[];
  /** Nodes that backward cannot compute again. */
  readonly sources: readonly number[];
  /** Nodes backward reads. */
  readonly sinks: readonly number[];
}

/** Indices of the nodes to save: the cheapest set through which every path from a source to a sink goes, as close to the sinks as it can be. */
export function minimumCut({ capacity, edges, sources, sinks }: CutGraph): number[] {
  // node i is split into 2i (in) → 2i+1 (out)
  const n = capacity.length;
  const source = 2 * n;
  const sink = 2 * n + 1;
  const residual: Map<number, number>[] = Array.from({ length: 2 * n + 2 }, () => new Map());
  const link = (from: number, to: number, amount: number): void => {
    residual[from]?.set(to, (residual[from]?.get(to) ?? 0) + amount);
    if (!residual[to]?.has(from)) residual[to]?.set(from, 0);
  };
  capacity.forEach((amount, i) => link(2 * i, 2 * i + 1, amount));
  edges.forEach((to, i) => {
    for (const j of to) link(2 * i + 1, 2 * j, Number.POSITIVE_INFINITY);
  });
  for (const i of sources) link(source, 2 * i, Number.POSITIVE_INFINITY);
  for (const i of sinks) link(2 * i + 1, sink, Number.POSITIVE_INFINITY);
  for (;;) {
    const path = augmentingPath(residual, source, sink);
    if (!path) break;
    const amount = Math.min(...path.map(([from, to]) => residual[from]?.get(to) ?? 0));
    if (!Number.isFinite(amount)) throw new Error('a value that backward needs can be neither saved nor computed again');
    for (const [from, to] of path) {
      residual[from]?.set(to, (residual[from]?.get(to) ?? 0) - amount);
      residual[to]?.set(from, (residual[to]?.get(from) ?? 0) + amount);
    }
  }
  // the cut nearest the sinks: nodes whose out side still reaches the sink, whose in side does not
  const reaches = reachingSink(residual, sink);
  return capacity.flatMap((_, i) => (reaches.has(2 * i + 1) && !reaches.has(2 * i) ? [i] : []));
}

function augmentingPath(residual: readonly Map<number, number>[], source: number, sink: number): [number, number][] | null {
  const from = new Map<number, number>([[source, source]]);
  const queue = [source];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    if (at === sink) break;
    for (const [to, amount] of residual[at] ?? []) {
      if (amount <= 0 || from.has(to)) continue;
      from.set(to, at);
      queue.push(to);
    }
  }
  if (!from.has(sink)) return null;
  const path: [number, number][] = [];
  for (let at = sink; at !== source; at = from.get(at) ?? source) path.unshift([from.get(at) ?? source, at]);
  return path;
}

function reachingSink(residual: readonly Map<number, number>[], sink: number): Set<number> {
  const seen = new Set([sink]);
  const queue = [sink];
  const incoming: number[][] = residual.map(() => []);
  residual.forEach((edges, from) => {
    for (const [to, amount] of edges) if (amount > 0) incoming[to]?.push(from);
  });
  for (let at = queue.shift(); at !== undefined; at = queue.shift())
    for (const from of incoming[at] ?? [])
      if (!seen.has(from)) {
        seen.add(from);
        queue.push(from);
      }
  return seen;
}
