/** @file Minimum vertex cut by augmenting paths (Ford & Fulkerson). It chooses the forward values to save for a backward; the graphs are small. */

export interface CutGraph {
  /** Bytes that it costs to save node i; Infinity if it cannot be saved, 0 if it is kept anyway. */
  readonly capacity: readonly number[];
  /** edges[i] lists the nodes that the backward can compute from node i. */
  readonly edges: readonly (readonly number[])[];
  /** Nodes that the backward cannot compute again. */
  readonly sources: readonly number[];
  /** Nodes that the backward reads. */
  readonly sinks: readonly number[];
}

/** Indices of the nodes to save: the cheapest set that lies on every path from a source to a sink, and the nearest to the sinks among equally cheap ones. */
export function minimumCut({ capacity, edges, sources, sinks }: CutGraph): number[] {
  // Node i is split into two, 2i (in) → 2i+1 (out).
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
  // The cut nearest to the sinks consists of the nodes whose out side still reaches the sink, and whose in side does not.
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
