/** @file Lays out the graph of a function with ELK's layered algorithm (Sugiyama et al. 1981). The sizes of boxes follow from their characters. */

import type { ElkNode } from 'elkjs/lib/elk.bundled.js';
import { at, invariant } from '../errors.ts';
import type { Graph } from './graph.ts';
import type { FunctionView, GraphEdge, GraphNode, ValueView } from './pageData.ts';

/** Lengths of a box in pixels. page/page.css draws boxes with the same lengths. */
const BOX = { character: 6.65, padding: 26, head: 30, row: 19, foot: 7, least: 132, most: 340 };

/** The number of characters in a line of a box, which holds a name, a type, and perhaps its uses. */
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

/** Places the boxes of a graph and routes its edges. */
export async function layOut(graph: Graph): Promise<FunctionView> {
  // ELK is as large as all of Ebb, so it is loaded only when a graph is laid out
  const { default: elkjs } = await import('elkjs/lib/elk.bundled.js');
  const elk = new elkjs.default();
  const children: ElkNode[] = graph.nodes.map((node, i) => ({ id: `n${i}`, ...boxSize(node) }));
  const edges = graph.edges.map(({ from, to }, i) => ({ id: `e${i}`, sources: [`n${from}`], targets: [`n${to}`] }));
  const root: ElkNode = { id: 'root', layoutOptions: OPTIONS, children, edges };
  const placed: ElkNode = await elk.layout(root);
  const nodes = graph.nodes.map((node, i): GraphNode => {
    const { x, y, width, height } = at(placed.children ?? [], i);
    invariant(x !== undefined && y !== undefined && width !== undefined && height !== undefined, `the graph's box ${i} was not placed`);
    return { ...node, x, y, width, height };
  });
  const routed = graph.edges.map((edge, i): GraphEdge => {
    const { sections } = at(placed.edges ?? [], i);
    invariant(sections, `the graph's edge ${i} was not routed`);
    const points = sections.flatMap((s) => [s.startPoint, ...(s.bendPoints ?? []), s.endPoint]).map(({ x, y }): [number, number] => [x, y]);
    return { ...edge, points };
  });
  const { width, height } = placed;
  invariant(width !== undefined && height !== undefined, 'the graph was not laid out');
  return { width, height, nodes, edges: routed, text: graph.text };
}
