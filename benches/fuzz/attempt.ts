/** One mutant opened, listed, read in places, its graph walked, and small ones inspected: a model, a coded refusal, or a fault. */
import path from 'node:path';
import { MunimentError, memorySource } from '../../src/base/index.js';
import type { Graph, Model, openModel, Tensor } from '../../src/formats/index.js';
import { inspectModel } from '../../src/record/index.js';
import type { Mutant } from './mutant.js';
import { trapped } from './traps.js';

export interface Fault {
  /**
   * `uncoded`, `execution`, `model`, `left open`: an error that has no code, an attempt to run or reach something, a model
   * that contradicts itself, a file that is not closed.
   */
  readonly what: string;
  readonly detail: string;
}

export interface Outcome {
  /** `model`, or the code of the refusal. */
  readonly code: string;
  readonly fault: Fault | null;
}

/** Tensors of which slices are read, and elements of a slice. */
const READ_TENSORS = 6;
const SLICE = 64;
/** Unit groups and digest take time in proportion; larger models are opened and read only. */
const INSPECT_ELEMENTS = 2 ** 17;
const INSPECT_TENSORS = 2000;
/** Places of memory sources: no part of a mutant has a folder, so that any look at the disk is a fault. */
const FOLDER = path.join(path.sep, 'mutant');

/** @param open `openModel`, or what stands for it in a test of this bench */
export async function attempt(open: typeof openModel, { name, bytes, beside }: Omit<Mutant, 'how'>): Promise<Outcome> {
  let held = 0;
  const source = (of: Uint8Array, at: string) => {
    held++;
    let closed = false;
    const close = async (): Promise<void> => {
      held -= closed ? 0 : 1;
      closed = true;
    };
    return { ...memorySource(of, at), close };
  };
  const parts = async (relative: string) => {
    const found = beside.get(relative);
    return found === undefined ? null : source(found, relative);
  };
  let code = 'model';
  let fault: Fault | null = null;
  const caught = await trapped(async () => {
    try {
      const model = await open(source(bytes, path.join(FOLDER, path.basename(name))), parts);
      try {
        fault = await look(model);
      } finally {
        await model.close();
      }
    } catch (error) {
      if (error instanceof MunimentError) code = error.code;
      fault = refusalFault(error);
    }
  });
  if (fault === null && held > 0) fault = { what: 'left open', detail: `${held} of the files` };
  if (caught.length > 0) fault = { what: 'execution', detail: caught.join('\n') };
  return { code, fault };
}

function refusalFault(error: unknown): Fault | null {
  if (error instanceof MunimentError) {
    const coded = error.kind === 'input' && /^[A-Z][A-Z0-9_]+$/.test(error.code) && error.message.length > 0;
    return coded ? null : { what: 'uncoded', detail: `${error.kind} ${error.code}: ${error.stack}` };
  }
  return { what: 'uncoded', detail: error instanceof Error ? String(error.stack) : String(error) };
}

async function look(model: Model): Promise<Fault | null> {
  const tensors = [...model.tensors.values()];
  const wrong = tensors.map(contradiction).find((one) => one !== null);
  if (wrong !== undefined) return { what: 'model', detail: String(wrong) };
  const step = Math.max(1, Math.floor(tensors.length / READ_TENSORS));
  for (let i = 0; i < tensors.length; i += step) {
    const problem = await readPlaces(tensors[i]!);
    if (problem !== null) return { what: 'model', detail: problem };
  }
  if (model.graph !== null) walk(model.graph);
  const elements = tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
  if (elements <= INSPECT_ELEMENTS && tensors.length <= INSPECT_TENSORS) await inspectModel(model, { digest: true });
  return null;
}

function contradiction({ name, shape, elements }: Tensor): string | null {
  const product = shape.reduce((all, size) => all * size, 1);
  const whole = shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  return whole && product === elements ? null : `${name}: ${elements} elements in a shape of ${shape.join(' × ')}`;
}

/** The beginning, the middle and the end. Texts are not numbers, and their reading is refused. */
async function readPlaces({ name, dtype, elements, read }: Tensor): Promise<string | null> {
  if (dtype === 'STRING') return null;
  for (const start of new Set([0, elements >> 1, Math.max(0, elements - SLICE)])) {
    const end = Math.min(elements, start + SLICE);
    const values = await read(start, end);
    if (values.length !== end - start) return `${name}: ${values.length} values came of ${start} to ${end}`;
  }
  return null;
}

/** Every node, name and attribute is touched, subgraphs too. */
function walk(graph: Graph): number {
  let seen = graph.inputs.length + graph.outputs.length + graph.valueInfo.length;
  for (const { inputs, outputs, attributes } of graph.nodes) {
    seen += inputs.length + outputs.length;
    for (const value of attributes.values()) {
      const graphs = (Array.isArray(value) ? value : [value]).filter((one): one is Graph => isGraph(one));
      seen += graphs.reduce((sum, one) => sum + walk(one), 1);
    }
  }
  return seen;
}

const isGraph = (value: unknown): boolean => typeof value === 'object' && value !== null && 'initialisers' in value;
