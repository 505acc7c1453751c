export * from './csv.js';
export * from './fleet.js';
export * from './run-to-failure.js';
