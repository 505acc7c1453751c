export * from './build-onnx.js';
export { BITS, decodeElements, encodeElements, isFloat, roundTo, storedBytes } from './elements.js';
export * from './limits.js';
export * from './model.js';
export { openModel } from './open-model.js';
export { type Part, partOfTensor } from './part.js';
export { buildSafetensors, type SafetensorsEntry } from './safetensors.js';
export { sharesBytes } from './stored-tensor.js';
export {
  COMPARISONS,
  type Comparison,
  MISSING_IS_ZERO,
  MISSING_LEFT,
  type TreeEnsemble,
  treeTensorNames,
  ZERO_IS_MISSING,
} from './trees.js';
export { type NewValues, writeModel } from './write-model.js';
