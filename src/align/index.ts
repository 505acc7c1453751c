export * from './alignment.js';
export * from './correspondence.js';
export * from './match.js';
export * from './plan.js';
export * from './sample.js';
export * from './table.js';
export * from './units.js';
