export * from './arrays.js';
export * from './card.js';
export * from './encode.js';
export * from './export.js';
export * from './fit.js';
