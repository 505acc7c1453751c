export * from './commitment.js';
export * from './derive.js';
export * from './keys.js';
export * from './normal.js';
export * from './plan.js';
