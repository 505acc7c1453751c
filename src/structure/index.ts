export { type CanonicaliseOptions, type CanonicalModel, type CanonicalTensor, canonicalise } from './canonical.js';
export { natureOf } from './nature.js';
export { permuteGroup, permuteUnits } from './permute.js';
export * from './types.js';
