/** The architecture as a picture: operations from top to bottom, weights written into them, in one SVG without scripts. */
import { escapeXml as e, inputError } from '../base/index.js';
import type { Graph, GraphNode } from '../formats/index.js';

/** Laying out takes seconds beyond this, and nobody can read the picture. */
export const MAX_PICTURE_NODES = 1500;

const CHARACTER = 7;
const LINE = 15;
const INPUT = '#e8eef4';
const OPERATION = '#f7f4ea';

type Edge = readonly [from: string, to: string];

interface Box {
  readonly title: string;
  readonly lines: readonly string[];
  readonly fill: string;
}

/**
 * Operations of the main graph; a branch of an If or the body of a Loop is named by how much is in it.
 * @throws `PICTURE_TOO_LARGE`
 */
export async function architecturePicture(graph: Graph): Promise<string> {
  const nodes = graph.nodes.filter((node) => node.op !== 'Constant');
  if (nodes.length > MAX_PICTURE_NODES) {
    throw inputError('PICTURE_TOO_LARGE', 'a picture of this many operations cannot be read', {
      expected: `at most ${MAX_PICTURE_NODES} operations`,
      got: String(nodes.length),
      todo: 'muniment inspect --json has the graph as data',
    });
  }
  const boxes = new Map<string, Box>();
  const producer = new Map<string, string>();
  const inputs = graph.inputs.filter((input) => !graph.initialisers.has(input.name));
  for (const input of inputs) {
    boxes.set(`in ${input.name}`, { title: input.name, lines: [shapeText(input.shape)], fill: INPUT });
    producer.set(input.name, `in ${input.name}`);
  }
  for (const [index, node] of nodes.entries()) {
    boxes.set(`n${index}`, boxOf(node, graph));
    for (const output of node.outputs) if (output !== '') producer.set(output, `n${index}`);
  }
  const edges = nodes.flatMap((node, index) =>
    [...new Set(node.inputs.flatMap((name) => producer.get(name) ?? []))].map((from): Edge => [from, `n${index}`]),
  );
  for (const output of graph.outputs) {
    const from = producer.get(output.name);
    if (from === undefined) continue;
    boxes.set(`out ${output.name}`, { title: output.name, lines: [shapeText(output.shape)], fill: INPUT });
    edges.push([from, `out ${output.name}`]);
  }
  return draw(boxes, edges);
}

function boxOf(node: GraphNode, graph: Graph): Box {
  const weights = node.inputs.flatMap((name) => {
    const tensor = graph.initialisers.get(name);
    return tensor === undefined || tensor.elements < 2 ? [] : [tensor.shape.join(' × ')];
  });
  const inside = [...node.attributes].flatMap(([name, value]) =>
    typeof value === 'object' && 'nodes' in value ? [`${name}: ${value.nodes.length} operations`] : [],
  );
  return { title: node.op, lines: [...weights, ...inside], fill: OPERATION };
}

const shapeText = (shape: readonly (number | string | null)[] | null): string =>
  shape === null ? '' : shape.map((size) => size ?? '?').join(' × ');

async function draw(boxes: ReadonlyMap<string, Box>, edges: readonly Edge[]): Promise<string> {
  // Most commands draw nothing.
  const { default: dagre } = await import('@dagrejs/dagre');
  const layout = new dagre.graphlib.Graph();
  layout.setGraph({ rankdir: 'TB', nodesep: 18, ranksep: 26, marginx: 12, marginy: 12 });
  layout.setDefaultEdgeLabel(() => ({}));
  for (const [id, { title, lines }] of boxes) {
    const longest = Math.max(title.length, ...lines.map((line) => line.length));
    layout.setNode(id, {
      width: Math.max(60, longest * CHARACTER + 16),
      height: (1 + lines.filter(Boolean).length) * LINE + 10,
    });
  }
  for (const [from, to] of edges) layout.setEdge(from, to);
  dagre.layout(layout);
  const { width = 0, height = 0 } = layout.graph() as { width?: number; height?: number };
  const lines = layout.edges().map((edge: { v: string; w: string }) => {
    const { points } = layout.edge(edge) as { points: readonly { x: number; y: number }[] };
    return `<path d="M${points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join('L')}" marker-end="url(#a)"/>`;
  });
  const drawn = [...boxes].map(([id, box]) => {
    const at = layout.node(id) as { x: number; y: number; width: number; height: number };
    const text = [box.title, ...box.lines.filter(Boolean)].map(
      (line, index) =>
        `<text x="${at.x.toFixed(1)}" y="${(at.y - at.height / 2 + 17 + index * LINE).toFixed(1)}"${index === 0 ? ' font-weight="bold"' : ''}>${e(line)}</text>`,
    );
    return `<rect x="${(at.x - at.width / 2).toFixed(1)}" y="${(at.y - at.height / 2).toFixed(1)}" width="${at.width}" height="${at.height}" rx="4" fill="${box.fill}"/>${text.join('')}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${Math.ceil(height)}" viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}">
<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0,0L8,4L0,8z" fill="#666" stroke="none"/></marker></defs>
<rect width="100%" height="100%" fill="#fff"/>
<g fill="none" stroke="#888">${lines.join('')}</g>
<g font-family="sans-serif" font-size="12" text-anchor="middle" stroke="none">${drawn.join('\n')}</g>
</svg>
`;
}
