export { type CellResult, evaluate, type Reason, type TitleResult } from './evaluate.js';
export * from './law.js';
export { loadLaw, ruleOf } from './load-law.js';
