import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/index.js';
import { type Graph, openModel } from '../../formats/index.js';
import { architecturePicture, type Inspection, inspectModel } from '../../record/index.js';
import type { Command } from '../command.js';
import { flagOption, modelArgument, textOption } from '../options.js';
import type { Style } from '../style.js';
import { table } from '../table.js';

/** Lines of layers printed at most; `--json` has all. */
const MAX_LAYERS = 80;

export const command: Command = {
  name: 'inspect',
  summary: 'what a model file holds: layers, storage, unit groups, constants, a digest of its weights',
  usage: 'inspect FILE [--svg OUT.svg] [--graph FILE.onnx]',
  description: `Reads the headers and a few rows, so that a folder of many gigabytes takes a second; the digest of the weights reads
all of them and is made up to 1 GiB, beyond on --digest. The digest is the same for every lossless conversion of one
model, whatever the format, the names and the layout.`,
  examples: [
    'muniment inspect pump.onnx',
    'muniment inspect llama/ --json',
    'muniment inspect big.safetensors --digest',
  ],
  options: {
    svg: { type: 'string', value: 'OUT', help: 'draw the architecture as a directed graph, where the format has one' },
    digest: { type: 'boolean', help: 'digest the weights however large they are' },
    graph: { type: 'string', value: 'FILE', help: 'an ONNX file whose graph says which units are exchangeable' },
    'plain-stack': {
      type: 'boolean',
      help: 'you vouch that layers follow each other by name, with no hidden residuals',
    },
  },
  positionals: { names: ['FILE'], min: 1, max: 1 },
  async run(call) {
    const file = modelArgument(call, call.positionals[0]!);
    const graphFile = textOption(call, 'graph');
    const model = await openModel(file);
    call.onExit(() => model.close());
    const graph = graphFile === undefined ? undefined : await openModel(modelArgument(call, graphFile));
    if (graph !== undefined) call.onExit(() => graph.close());
    const found = await inspectModel(model, {
      progress: call.progress('reading'),
      ...(flagOption(call, 'digest') ? { digest: true } : {}),
      ...(graph === undefined ? {} : { graph }),
      ...(flagOption(call, 'plain-stack') ? { plainStack: true } : {}),
    });
    const svg = textOption(call, 'svg');
    if (svg !== undefined) await drawTo(path.resolve(call.cwd, svg), (graph ?? model).graph);
    return {
      json: { file: call.positionals[0], ...found },
      text: inspectionText(call.positionals[0]!, found, call.style),
    };
  },
};

async function drawTo(file: string, graph: Graph | null): Promise<void> {
  if (graph === null) {
    throw usageError('PICTURE_NO_GRAPH', 'this format has no graph to draw', {
      todo: 'give an ONNX file of the same model: --graph FILE.onnx',
    });
  }
  await writeFile(file, await architecturePicture(graph), { flag: 'wx' });
}

function inspectionText(file: string, found: Inspection, style: Style): string {
  const { architecture, layers, groups, storage } = found;
  const operations = Object.entries(architecture.operations).map(([op, n]) => `${n} ${op}`);
  // Shapes, axes and single numbers that exporters leave behind are no layers.
  const told = layers.filter((one) => one.role !== 'other' || one.elements > 16);
  const layerRows = told
    .slice(0, MAX_LAYERS)
    .map((one) => [
      one.tensor,
      one.role,
      one.shape.join(' × '),
      storedText(one),
      one.nature === 'learned' ? '' : `constant: ${one.nature}`,
    ]);
  return [
    style.bold(
      `${file}: ${found.format}, ${count(found.bytes)} bytes in ${found.files} ${found.files === 1 ? 'file' : 'files'}`,
    ),
    `${count(found.parameters)} learned parameters${found.constantElements === 0 ? '' : `, ${count(found.constantElements)} constant elements`}; stored as ${Object.entries(
      storage,
    )
      .map(([dtype, one]) => `${dtype} (${one.tensors} tensors, ${count(one.elements)} elements)`)
      .join(', ')}`,
    architecture.source === 'graph'
      ? `graph: ${architecture.nodes} operations, ${architecture.edges} edges (${operations.join(', ')}); SHA-256 ${architecture.sha256.slice(0, 16)}…`
      : found.trees.length > 0
        ? 'decision trees: no hidden units'
        : 'no graph in this format: unit groups rest on names and shapes',
    ...found.trees.map(treesText),
    `weights: ${found.weights ?? (found.parameters === 0 ? 'no tensor is learned' : 'not digested (--digest reads all of them)')}`,
    ...(layerRows.length === 0 ? [] : ['', table([['tensor', 'role', 'shape', 'stored', ''], ...layerRows])]),
    ...(layers.length > layerRows.length
      ? [
          style.dim(
            `${layers.length - layerRows.length} more tensors, ${layers.length - told.length} of them shapes and single numbers: --json`,
          ),
        ]
      : []),
    ...(groups.length === 0 && found.trees.length > 0 ? [] : ['', style.bold(`${groups.length} unit groups`)]),
    ...groups
      .slice(0, MAX_LAYERS)
      .map(
        (group) =>
          `  ${group.id.padEnd(4)} ${String(group.size).padStart(6)} units, vouched for by ${group.vouched === 'owner' ? 'you' : `the ${group.vouched}`}  ${cut(group.label)}`,
      ),
    ...(found.leftOut.length === 0
      ? []
      : [
          style.dim('left out of every test:'),
          ...found.leftOut.slice(0, MAX_LAYERS).map((one) => style.dim(`  ${one.tensor}: ${one.reason}`)),
        ]),
  ].join('\n');
}

function storedText({ dtype, packed, quantisation }: Inspection['layers'][number]): string {
  if (packed !== null) return `${packed.as} (${Number(packed.bits.toFixed(2))} bits)`;
  return quantisation === null ? dtype : `${dtype}, ${quantisation.bits} bits a ${quantisation.granularity}`;
}

/** Inputs printed at most; `--json` has all. */
const MAX_INPUTS = 10;

function treesText(found: Inspection['trees'][number]): string {
  const { depth, used } = found;
  const inputs = used
    .slice(0, MAX_INPUTS)
    .map(({ feature, name, splits }) => `${name ?? `input ${feature}`} ${splits}`);
  return [
    `${found.name === '' ? 'trees' : `trees of ${found.name}`}: ${count(found.trees)} trees, depth ${depth.most} at most (mean ${depth.mean.toFixed(1)}), ${count(found.splits)} splits${found.categoricalSplits === 0 ? '' : ` (${count(found.categoricalSplits)} of categories)`}, ${count(found.leaves)} leaves, ${found.outputs} ${found.outputs === 1 ? 'output' : 'outputs'}, thresholds ${found.precision}${found.objective === '' ? '' : `, ${found.objective}`}`,
    `splits by input (${used.length} of ${found.features} used): ${inputs.join(', ')}${used.length > MAX_INPUTS ? ', …' : ''}`,
  ].join('\n');
}

const count = (n: number): string => n.toLocaleString('en-US');

/** A group that several layers share has all their names; `--json` has them whole. */
const cut = (label: string): string => (label.length > 72 ? `${label.slice(0, 71)}…` : label);
