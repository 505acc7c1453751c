export { type Architecture, architectureOf } from './architecture.js';
export { architecturePicture, MAX_PICTURE_NODES } from './architecture-picture.js';
export { type Content, type ContentDigest, digestPaths, type FileDigest, manifestText } from './digest.js';
export type { Facts, How, LinkTo, Measured, Person, Scalar, Spent } from './facts.js';
export { type FactsDocument, readFacts } from './facts-file.js';
export { type Inspection, type InspectOptions, inspectModel, type Layer, weightsDigest } from './inspect.js';
export {
  type AssetKind,
  assetKinds,
  type EffortBucket,
  effortBuckets,
  isAssetKind,
  type Keep,
  keeps,
  type Relation,
  relations,
} from './kinds.js';
export { digestModel, modelFiles } from './model-files.js';
export { type AssetRequest, type Recorded, type RecordOptions, recordAsset, recordAssets } from './record.js';
export type { RecordingRoom } from './recording-room.js';
export { defaultKeep, FULL_BY_DEFAULT, openReference, SAMPLE_WEIGHTS } from './reference.js';
export { type Asset, collect, type Registry, registryOf, type StatementView } from './registry.js';
export { templateOf } from './template.js';
export { findStatement, withdraw } from './withdraw.js';
