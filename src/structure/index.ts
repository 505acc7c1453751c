export { type CanonicaliseOptions, type CanonicalModel, canonicalise } from './canonical.js';
export type { CanonicalTensor } from './canonical-tensor.js';
export { natureOf } from './nature.js';
export { permuteGroup, permuteUnits } from './permute.js';
export * from './types.js';
