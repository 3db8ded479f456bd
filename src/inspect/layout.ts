/** @file Lays out the graph of a function with ELK's layered algorithm (Sugiyama); sizes of boxes are counted in characters. */

import type { ElkNode } from 'elkjs/lib/elk.bundled.js';
import type { Graph } from './graph.ts';
import type { FunctionView, GraphEdge, GraphNode, ValueView } from './pageData.ts';

/** Measures of a box on the page (page/page.css draws it with the same). */
const BOX = { character: 6.65, padding: 26, head: 30, row: 19, foot: 7, least: 132, most: 340 };

/** Characters of a line of a box: its name, then its type. */
const lineLength = ({ name, type, uses = [] }: ValueView): number => name.length + type.length + 5 + (uses.length > 0 ? 3 : 0);

function boxSize({ kind, title, reads, writes }: Graph['nodes'][number]): { width: number; height: number } {
  const lines = [...reads, ...writes].map(lineLength);
  const longest = Math.max(kind === 'kernel' ? title.length + 14 : 0, ...lines);
  const width = Math.min(BOX.most, Math.max(BOX.least, Math.ceil(longest * BOX.character + BOX.padding)));
  return { width, height: (kind === 'kernel' ? BOX.head : BOX.foot) + BOX.row * lines.length + BOX.foot };
}

const OPTIONS = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.spacing.nodeNode': '26',
  'elk.spacing.edgeNode': '16',
  'elk.spacing.edgeEdge': '10',
  'elk.layered.spacing.nodeNodeBetweenLayers': '34',
  'elk.layered.spacing.edgeNodeBetweenLayers': '14',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '9',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
  'elk.layered.layering.strategy': 'COFFMAN_GRAHAM',
  'elk.layered.layering.coffmanGraham.layerBound': '3',
  'elk.padding': '[top=12,left=12,bottom=12,right=12]',
};

/** Places boxes and routes edges. */
export async function layOut(graph: Graph): Promise<FunctionView> {
  // as large as all of Ebb: loaded by who lays out
  const { default: elkjs } = await import('elkjs/lib/elk.bundled.js');
  const elk = new elkjs.default();
  const children: ElkNode[] = graph.nodes.map((node, i) => ({ id: `n${i}`, ...boxSize(node) }));
  const edges = graph.edges.map(({ from, to }, i) => ({ id: `e${i}`, sources: [`n${from}`], targets: [`n${to}`] }));
  const root: ElkNode = { id: 'root', layoutOptions: OPTIONS, children, edges };
  const placed: ElkNode = await elk.layout(root);
  const nodes = graph.nodes.map((node, i): GraphNode => {
    const { x = 0, y = 0, width = 0, height = 0 } = placed.children?.[i] ?? {};
    return { ...node, x, y, width, height };
  });
  const routed = graph.edges.map((edge, i): GraphEdge => {
    const sections = placed.edges?.[i]?.sections ?? [];
    const points = sections.flatMap((s) => [s.startPoint, ...(s.bendPoints ?? []), s.endPoint]).map(({ x, y }): [number, number] => [x, y]);
    return { ...edge, points };
  });
  return { width: placed.width ?? 0, height: placed.height ?? 0, nodes, edges: routed, text: graph.text };
}
