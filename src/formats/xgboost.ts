/**
 * XGBoost's JSON and UBJSON models (`Booster.save_model`): boosters gbtree, dart and gblinear. Sources: doc/model.schema,
 * src/gbm/gbtree_model.cc, src/tree/tree_model.cc of dmlc/xgboost.
 */
import { type ByteSource, type ErrorFacts, inputError } from '../base/index.js';
import type { Document } from './document.js';
import { jsonDocument } from './json-document.js';
import { MAX_TREE_FILE, MAX_TREE_INPUTS, MAX_TREE_NODES, MAX_TREES } from './limits.js';
import type { Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { storedTensor } from './stored-tensor.js';
import { type TreeEnsemble, tensorsOfTrees } from './trees.js';
import { type NodePlaces, treesBuilder } from './trees-builder.js';
import { looksLikeUbj, ubjDocument } from './ubj-document.js';
import { xgboostEdits } from './write-trees-xgboost.js';
import { readXgboostTree, type XgboostTree } from './xgboost-tree.js';

const refuse = (code: string, message: string, facts: ErrorFacts): never => {
  throw inputError(`XGBOOST_${code}`, message, facts);
};

/** What a booster says, in whatever order its members stand. */
interface Read {
  booster: string;
  readonly trees: XgboostTree[];
  /** [trees] the output of each. */
  treeInfo: Float64Array;
  /** dart: how much each tree counts. */
  weightDrop: Float64Array | null;
  /** gblinear. */
  weights: Float64Array | null;
  featureNames: string[];
  readonly parameters: Map<string, string>;
  objective: string;
}

/** A model of XGBoost has this member in its first object. */
const MARK = 'gradient_booster';

/**
 * @returns null for JSON or UBJSON of something else
 * @throws `XGBOOST_FIELD`, `XGBOOST_BOOSTER`, `XGBOOST_VECTOR_LEAVES`, `XGBOOST_TOO_LARGE`, `TREES_…`, `JSON_…`, `UBJ_…`, `UTF8_INVALID`
 */
export async function openXgboost(source: ByteSource, files: ModelFiles): Promise<Model | null> {
  const head = await source.slice(0, Math.min(4096, source.byteLength));
  if (source.byteLength > MAX_TREE_FILE) {
    if (!Buffer.from(head).includes('learner')) return null;
    refuse('TOO_LARGE', 'the model is larger than is planned for', {
      expected: `at most ${MAX_TREE_FILE} bytes`,
      got: `${source.byteLength} bytes`,
      where: source.name,
      todo: 'save it as UBJSON, which takes a third: booster.save_model("model.ubj")',
    });
  }
  const bytes = await source.slice(0, source.byteLength);
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(MARK)) return null;
  const isBinary = looksLikeUbj(head);
  const read = readDocument(isBinary ? ubjDocument(bytes, source.name) : jsonDocument(bytes, source.name), source.name);
  const metadata = new Map([
    ['booster', read.booster],
    ['objective', read.objective],
    ['encoding', isBinary ? 'ubjson' : 'json'],
    ...[...read.parameters].map(([name, value]) => [name, value] as const),
  ]);
  if (read.booster === 'gblinear') {
    return modelOf(files, {
      format: 'xgboost',
      tensors: linear(read, source.name),
      graph: null,
      opset: null,
      metadata,
    });
  }
  const { ensemble, places } = ensembleOf(read, source.name);
  const lists = Float64Array.from(read.trees, (tree) => tree.conditionsAt);
  const tensors = tensorsOfTrees(ensemble, xgboostEdits({ source, isBinary, lists, places, ensemble }));
  return modelOf(files, { format: 'xgboost', tensors, graph: null, opset: null, metadata, trees: [ensemble] });
}

function readDocument(doc: Document, where: string): Read {
  const read: Read = {
    booster: '',
    trees: [],
    treeInfo: new Float64Array(0),
    weightDrop: null,
    weights: null,
    featureNames: [],
    parameters: new Map(),
    objective: '',
  };
  let nodes = 0;
  const model = (): void =>
    members(doc, {
      tree_info: () => {
        read.treeInfo = doc.numbers();
      },
      weights: () => {
        read.weights = doc.numbers();
      },
      trees: () =>
        doc.items((index) => {
          const tree = readXgboostTree(doc, `${where}, tree ${index}`);
          nodes += tree.left.length;
          if (index >= MAX_TREES || nodes > MAX_TREE_NODES) {
            refuse('TOO_LARGE', 'the model has more trees or nodes than are planned for', {
              expected: `at most ${MAX_TREES} trees of ${MAX_TREE_NODES} nodes together`,
              where,
            });
          }
          read.trees.push(tree);
        }),
    });
  const name = (): void => {
    read.booster = doc.text();
  };
  doc.members((top) => {
    if (top !== 'learner') return doc.skip();
    members(doc, {
      feature_names: () =>
        doc.items((index) => {
          if (index >= MAX_TREE_INPUTS) refuse('TOO_LARGE', `more than ${MAX_TREE_INPUTS} inputs are named`, { where });
          read.featureNames.push(doc.text());
        }),
      gradient_booster: () =>
        members(doc, {
          model,
          name,
          // dart wraps the trees, whose own name comes first.
          gbtree: () => members(doc, { model }),
          weight_drop: () => {
            read.weightDrop = doc.numbers();
          },
        }),
      learner_model_param: () =>
        doc.members((parameter) => {
          read.parameters.set(parameter, doc.text());
        }),
      objective: () =>
        members(doc, {
          name: () => {
            read.objective = doc.text();
          },
        }),
    });
  });
  doc.end();
  return read;
}

/** The members that are known; others are skipped. */
function members(doc: Document, known: Readonly<Record<string, () => void>>): void {
  doc.members((name) => (Object.hasOwn(known, name) ? known[name]!() : doc.skip()));
}

function parameter(read: Read, name: string, where: string): number {
  const text = read.parameters.get(name) ?? '0';
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    refuse('FIELD', `${name} is no count`, { got: text.slice(0, 40), where: `${where}, learner_model_param` });
  return value;
}

/** "[1E0,2E0]", and before version 3 a single number. */
function baseScore(read: Read, where: string): Float64Array {
  const text = read.parameters.get('base_score') ?? '';
  const parts = text.replace(/^\[|\]$/g, '').split(',');
  const values = Float64Array.from(parts, (part) =>
    /^\s*[-+\d.]/.test(part) ? Math.fround(Number(part)) : Number.NaN,
  );
  if (values.some((value) => Number.isNaN(value)))
    refuse('FIELD', 'base_score holds no numbers', { got: text.slice(0, 40), where: `${where}, learner_model_param` });
  return values;
}

function ensembleOf(read: Read, where: string): { readonly ensemble: TreeEnsemble; readonly places: NodePlaces } {
  const { booster, trees, treeInfo, weightDrop, featureNames } = read;
  if (booster !== 'gbtree' && booster !== 'dart') {
    refuse('BOOSTER', 'the booster is of a kind that is not read', {
      expected: 'gbtree, dart or gblinear',
      got: booster.slice(0, 40) || 'none',
      where,
    });
  }
  if (treeInfo.length !== trees.length || (weightDrop !== null && weightDrop.length !== trees.length)) {
    refuse('FIELD', 'the lists of trees differ in length', {
      expected: `${trees.length} trees`,
      got: `tree_info ${treeInfo.length}${weightDrop === null ? '' : `, weight_drop ${weightDrop.length}`}`,
      where,
    });
  }
  const builder = treesBuilder();
  for (const [index, tree] of trees.entries()) {
    const weight = Math.fround(weightDrop?.[index] ?? 1);
    builder.add({
      where: `${where}, tree ${index}`,
      size: tree.left.length,
      roots: [0],
      weight,
      node: tree.node(treeInfo[index]!),
    });
  }
  const ensemble = builder.done(
    {
      name: '',
      precision: 'F32',
      features: parameter(read, 'num_feature', where) || null,
      featureNames: featureNames.length === 0 ? null : featureNames,
      aggregate: 'sum',
      objective: read.objective,
      base: baseScore(read, where),
      baseIs: 'response',
    },
    where,
  );
  return { ensemble, places: builder.places() };
}

/** gblinear stores a weight for each input and output, input by input, and behind them a bias for each output. */
function linear(read: Read, where: string) {
  const features = parameter(read, 'num_feature', where);
  const outputs = Math.max(1, parameter(read, 'num_class', where), parameter(read, 'num_target', where));
  const { weights } = read;
  if (weights === null || weights.length !== (features + 1) * outputs) {
    return refuse('FIELD', 'a linear booster has another number of weights than its inputs and outputs need', {
      expected: `${(features + 1) * outputs}`,
      got: String(weights?.length ?? 0),
      where,
    });
  }
  const given = (name: string, shape: readonly number[], from: number) =>
    storedTensor('XGBOOST', name, 'F32', shape, {
      kind: 'values',
      read: async (start, end) => weights.slice(from + start, from + end).map(Math.fround),
    });
  return [
    { ...given('weight', [features, outputs], 0), outputsFirst: [1, 0] },
    given('bias', [outputs], features * outputs),
  ];
}
