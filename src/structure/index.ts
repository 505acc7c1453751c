export { type CanonicaliseOptions, type CanonicalModel, canonicalise } from './canonical.js';
export type { CanonicalTensor } from './canonical-tensor.js';
export { natureOf } from './nature.js';
export { permuteGroup, permuteUnits } from './permute.js';
export { type CanonicalTrees, canonicalTrees, nextUp, outputsOfTree, treeDigests, treesDigest } from './trees.js';
export * from './types.js';
