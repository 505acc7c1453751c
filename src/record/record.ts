/** Recording assets: digest, predicate, reference in the vault, statement. Several in one call are recorded all or nothing. */
import path from 'node:path';
import { canonicalBytes, inputError, type Json, noProgress, type Progress, sha256Hex } from '../base/index.js';
import { openModel } from '../formats/index.js';
import { type Architecture, architectureOf } from './architecture.js';
import { type ContentDigest, digestFiles, digestPaths, type NamedFile } from './digest.js';
import type { Facts } from './facts.js';
import { type AssetKind, identityFields, type Keep } from './kinds.js';
import { type Fellow, resolveTarget } from './links.js';
import { modelFiles } from './model-files.js';
import { buildPredicate, type Predicate, resolveFacts, samePredicate } from './predicate.js';
import type { RecordingRoom } from './recording-room.js';
import { defaultKeep, keepModel } from './reference.js';
import { type Asset, collect, type Registry, registryOf } from './registry.js';

export interface AssetRequest {
  readonly kind: AssetKind;
  /** Files and folders; empty for the kinds that are facts. */
  readonly paths: readonly string[];
  readonly facts: Facts;
  /** Models only. Not given: full up to `FULL_BY_DEFAULT` bytes, else a sample. */
  readonly keep?: Keep | null;
  /** Folder that paths in links are relative to; the working folder where absent. */
  readonly base?: string;
  /** Where a field stands in a facts file, for messages. */
  readonly where?: (path: readonly string[]) => string;
}

export interface Recorded {
  readonly kind: AssetKind;
  readonly name: string;
  readonly sha256: string;
  /** Of the statement in force. */
  readonly index: number;
  readonly statement: string;
  readonly state: 'recorded' | 'corrected' | 'already-recorded';
  readonly keep: Keep | null;
}

export interface RecordOptions {
  /** Called once for each long step. */
  readonly progress?: (label: string) => Progress;
}

interface Prepared extends Fellow {
  readonly predicate: Predicate;
  readonly subjects: readonly { readonly name: string; readonly sha256: string }[];
  readonly known: Asset | null;
  readonly digest: ContentDigest | null;
  /** Of a model: its files, the main one first. */
  readonly files: readonly NamedFile[];
}

/** @see recordAssets */
export async function recordAsset(
  room: RecordingRoom,
  facts: Facts & { readonly kind: AssetKind },
  paths: readonly string[],
  options: RecordOptions & { readonly keep?: Keep } = {},
): Promise<Recorded> {
  const { kind, ...rest } = facts;
  const keep = options.keep ?? null;
  const all = await recordAssets(room, [{ kind, paths, facts: rest, keep }], options);
  return all.find((one) => one.kind === kind)!;
}

/**
 * Records assets in order. A model brings its architecture as a statement of its own, before it. The same asset with
 * the same facts is not recorded again; with other facts the new statement supersedes the earlier one and carries on
 * what is not contradicted. Later requests may point at earlier ones by name or path.
 * @throws `RECORD_PATHS`, `RECORD_TWICE`, `FACTS_INVALID`, `LINK_UNKNOWN`, `LINK_AMBIGUOUS`; what `digestPaths`,
 *   `openModel` and the ledger throw. Nothing is recorded then.
 */
export async function recordAssets(
  room: RecordingRoom,
  requests: readonly AssetRequest[],
  options: RecordOptions = {},
): Promise<readonly Recorded[]> {
  const registry = registryOf(await collect(room.ledger.statements()));
  const prepared: Prepared[] = [];
  for (const request of requests) {
    for (const one of await prepare(request, registry, prepared, options)) {
      const twin = prepared.find((other) => other.kind === one.kind && other.sha256 === one.sha256);
      if (twin === undefined) prepared.push(one);
      else if (one.kind !== 'architecture') {
        throw inputError('RECORD_TWICE', `one call records the same ${one.kind} twice`, {
          got: `${twin.name} and ${one.name}, both ${one.sha256}`,
          todo: 'name it once',
        });
      }
    }
  }
  for (const one of prepared) {
    if (one.kind === 'model')
      await keepModel(room, one.digest!, one.files, one.predicate.keep as Keep, options.progress);
  }
  const changed = prepared.filter((one) => one.known === null || !samePredicate(one.predicate, one.known.predicate));
  const receipts =
    changed.length === 0
      ? []
      : await room.ledger.append(
          changed.map((one) => ({
            kind: one.kind,
            subjects: [...one.subjects],
            predicate:
              one.known === null ? one.predicate : { ...one.predicate, supersedes: one.known.statement.sha256 },
          })),
        );
  return prepared.map((one) => {
    const at = changed.indexOf(one);
    const receipt = at === -1 ? one.known!.statement : receipts[at]!;
    const state = at === -1 ? 'already-recorded' : one.known === null ? 'recorded' : 'corrected';
    const keep = one.kind === 'model' ? (one.predicate.keep as Keep) : null;
    return {
      kind: one.kind,
      name: one.name,
      sha256: one.sha256,
      index: receipt.index,
      statement: receipt.sha256,
      state,
      keep,
    };
  });
}

async function prepare(
  request: AssetRequest,
  registry: Registry,
  fellows: readonly Fellow[],
  options: RecordOptions,
): Promise<readonly Prepared[]> {
  const { kind } = request;
  const base = request.base ?? process.cwd();
  const paths = request.paths.map((one) => path.resolve(base, one));
  const hashing = options.progress?.(`hashing ${path.basename(paths[0] ?? kind)}`) ?? noProgress;
  const facts = (await resolveFacts(
    request.facts,
    (term, relation) => resolveTarget(term, relation, registry, fellows, base, hashing),
    request.where,
  )) as Predicate;
  if (paths.length === 0) return [ofFacts(request, facts, registry)];

  if (kind === 'architecture' && MODEL_FILE.test(paths[0]!)) {
    const model = await openModel(paths[0]!);
    try {
      return [ofArchitecture(architectureOf(model), path.basename(paths[0]!), paths, facts, registry, request.where)];
    } finally {
      await model.close();
    }
  }
  const before = kind === 'model' ? await readModel(paths) : null;
  const digest = before === null ? await digestPaths(paths, hashing) : await digestFiles(before.files, hashing);
  const own = { kind, sha256: digest.sha256, paths, files: before?.files ?? [] };
  const known = currentOf(registry, kind, digest.sha256);
  const defaults = { name: path.basename(paths[0]!) };
  if (before === null) {
    const predicate = buildPredicate(
      kind,
      facts,
      known?.predicate ?? null,
      defaults,
      { content: stated(digest) },
      request.where,
    );
    return [
      { ...own, name: predicate.name as string, predicate, subjects: subjectsOf(predicate, digest), known, digest },
    ];
  }

  const name = (facts.name ?? known?.name ?? defaults.name) as string;
  const architecture =
    before.architecture === null
      ? null
      : ofArchitecture(before.architecture, `architecture of ${name}`, [], {}, registry, undefined);
  const link =
    architecture === null ? [] : [{ relation: 'architecture', sha256: architecture.sha256, name: architecture.name }];
  const links = [...((facts.links ?? []) as readonly Json[]), ...link];
  const keep = request.keep ?? known?.keep ?? defaultKeep(digest.content.bytes);
  const computed = { ...before.facts, keep, content: stated(digest), ...(links.length === 0 ? {} : { links }) };
  const predicate = buildPredicate(kind, facts, known?.predicate ?? null, defaults, computed, request.where);
  const model = { ...own, name, predicate, subjects: subjectsOf(predicate, digest), known, digest };
  return architecture === null ? [model] : [architecture, model];
}

/** What `openModel` reads; anything else named as an architecture is a drawing or a text, recorded as a file. */
const MODEL_FILE = /\.(onnx|safetensors|safetensors\.index\.json)$/i;

interface ReadModel {
  /** Every file the model is made of, the main one first: shards and external data belong to its digest. */
  readonly files: readonly NamedFile[];
  readonly facts: Predicate;
  readonly architecture: Architecture | null;
}

async function readModel(paths: readonly string[]): Promise<ReadModel> {
  if (paths.length > 1) {
    throw inputError('RECORD_PATHS', 'a model is one file, or one folder with its shards', {
      got: paths.join(', '),
      todo: 'record each model by itself; external data and shards are found from the main file',
    });
  }
  const model = await openModel(paths[0]!);
  try {
    const tensors = [...model.tensors.values()];
    const files = modelFiles(model);
    return {
      files,
      facts: {
        format: model.format,
        ...(files.length === 1 ? {} : { main: files[0]!.name }),
        tensors: tensors.length,
        weights: tensors.reduce((sum, tensor) => sum + tensor.elements, 0),
      },
      architecture: architectureOf(model),
    };
  } finally {
    await model.close();
  }
}

function ofFacts(request: AssetRequest, facts: Predicate, registry: Registry): Prepared {
  const { kind } = request;
  const fields = identityFields[kind]?.filter((field) => facts[field] !== undefined) ?? [];
  if (fields.length === 0) {
    const wanted = identityFields[kind];
    throw inputError('RECORD_PATHS', `nothing to record of this ${kind}`, {
      expected: wanted === undefined ? 'a path' : `a path, or the facts ${wanted.join(', ')}`,
      todo: `muniment record --template ${kind} shows what can be said`,
    });
  }
  const identity = canonicalBytes(Object.fromEntries(fields.map((field) => [field, facts[field]!])));
  const sha256 = sha256Hex(identity);
  const known = currentOf(registry, kind, sha256);
  const content = { method: 'facts', files: 0, bytes: identity.length };
  const predicate = buildPredicate(kind, facts, known?.predicate ?? null, { name: kind }, { content }, request.where);
  const name = predicate.name as string;
  return { kind, name, sha256, paths: [], predicate, subjects: [{ name, sha256 }], known, digest: null, files: [] };
}

function ofArchitecture(
  architecture: Architecture,
  fallbackName: string,
  paths: readonly string[],
  facts: Predicate,
  registry: Registry,
  where: AssetRequest['where'],
): Prepared {
  const { sha256, source, nodes, edges, operations, graph, bytes } = architecture;
  const known = currentOf(registry, 'architecture', sha256);
  const computed = {
    source,
    nodes,
    edges,
    ...(Object.keys(operations).length === 0 ? {} : { operations }),
    ...(graph === null ? {} : { graph }),
    content: { method: 'facts', files: 0, bytes },
  };
  const predicate = buildPredicate(
    'architecture',
    facts,
    known?.predicate ?? null,
    { name: fallbackName },
    computed,
    where,
  );
  const name = predicate.name as string;
  return {
    kind: 'architecture',
    name,
    sha256,
    paths,
    predicate,
    subjects: [{ name, sha256 }],
    known,
    digest: null,
    files: [],
  };
}

const currentOf = (registry: Registry, kind: AssetKind, sha256: string): Asset | null =>
  registry.assets.find((asset) => asset.kind === kind && asset.sha256 === sha256) ?? null;

const stated = (digest: ContentDigest): Json => digest.content as unknown as Json;

/** The asset's own digest first; then its files where they are few, so that each of them leads back here. */
function subjectsOf(predicate: Predicate, digest: ContentDigest): Prepared['subjects'] {
  const own = { name: predicate.name as string, sha256: digest.sha256 };
  const files = digest.content.method === 'manifest' && digest.files.length <= MAX_SUBJECTS ? digest.files : [];
  return [own, ...files.map((file) => ({ name: file.path, sha256: file.sha256 }))];
}

/** Subjects are in clear in a disclosed statement; folders of data are listed in `content`, which can be withheld. */
const MAX_SUBJECTS = 16;
