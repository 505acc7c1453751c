export * from './binomial.js';
export * from './factorial.js';
export * from './hits.js';
export * from './kolmogorov.js';
export * from './logs.js';
export * from './normal.js';
