/** The unmarked original of a release: found in the ledger, read from the vault, laid out as it was committed. */
import { stat } from 'node:fs/promises';
import { environmentError, inputError, noProgress, type Progress } from '../base/index.js';
import { type Model, openModel } from '../formats/index.js';
import { type Asset, collect, digestModel, openReference, type RecordingRoom, registryOf } from '../record/index.js';
import { type CanonicalModel, canonicalise } from '../structure/index.js';
import type { ReleaseRoom } from './release.js';
import { graphName } from './secrets.js';
import type { StructureSource } from './statements.js';

export function vaultOf(room: ReleaseRoom): NonNullable<ReleaseRoom['vault']> {
  if (room.vault !== null) return room.vault;
  throw environmentError('VAULT_LOCKED', 'the vault is locked; a release draws its keys there', {
    expected: 'MUNIMENT_PASSPHRASE or --key-file FILE',
  });
}

/** The recorded model meant by a path, a name or a digest, kept in full. */
export async function findModel(
  room: RecordingRoom,
  model: string,
  progress?: (label: string) => Progress,
): Promise<Asset> {
  const registry = registryOf(await collect(room.ledger.statements()));
  const isFile = (await stat(model).catch(() => null)) !== null;
  const digest = isFile ? await digestOf(model, progress?.('hashing the model') ?? noProgress) : model;
  const found = [...registry.byDigest(digest), ...(isFile ? [] : registry.byName(model))].filter(
    (asset) => asset.kind === 'model',
  );
  const asset = found.at(-1);
  if (asset === undefined) {
    throw inputError('MARK_MODEL_UNKNOWN', 'this model is not recorded in the room', {
      where: model,
      todo: `record it first: muniment record model ${isFile ? model : 'FILE'} --keep full`,
    });
  }
  if (asset.keep !== 'full') {
    throw inputError('MARK_KEEP_FULL', 'a release needs the whole original in the vault', {
      expected: '--keep full',
      got: `--keep ${asset.keep ?? 'none'}`,
      where: asset.name,
      todo: `muniment record model ${isFile ? model : 'FILE'} --keep full`,
    });
  }
  return asset;
}

async function digestOf(file: string, progress: Progress): Promise<string> {
  const model = await openModel(file);
  try {
    return (await digestModel(model, progress)).sha256;
  } finally {
    await model.close();
  }
}

/** Canonical tensors and unit groups, found as the commitment says. @param graph of the ONNX file that vouches for them */
export const laidOut = (model: Model, structure: StructureSource, graph: Model | null): Promise<CanonicalModel> =>
  canonicalise(model, {
    ...(graph === null ? {} : { graph }),
    ...(structure.plainStack ? { plainStack: true } : {}),
  });

/** The file that vouched for the groups, from the vault; null where there was none. */
export async function openGraph(room: ReleaseRoom, structure: StructureSource, release: string): Promise<Model | null> {
  return structure.graph === null ? null : openModel(await vaultOf(room).openFile(graphName(release)));
}

/** The unmarked original from the vault, laid out as it was committed. */
export async function openOriginal(
  room: ReleaseRoom,
  asset: Asset,
  structure: StructureSource,
  release: string,
): Promise<{ model: Model; canonical: CanonicalModel; close(): Promise<void> }> {
  const reference = await openReference(room, asset);
  if (reference === null || !reference.complete) {
    throw inputError('MARK_KEEP_FULL', 'the vault does not hold the whole original', { where: asset.name });
  }
  const graph = await openGraph(room, structure, release);
  const close = async (): Promise<void> => {
    await graph?.close();
    await reference.model.close();
  };
  try {
    const canonical = await laidOut(reference.model, structure, graph);
    return { model: reference.model, canonical, close };
  } catch (error) {
    await close();
    throw error;
  }
}
