export type { BundleAbout } from './bundle.js';
export { type Proved, type ProveRequest, proveBundle } from './prove.js';
export { TOLERANCE } from './recompute.js';
export { readTrust, type Trust } from './trust.js';
export { type VerifyError, type VerifyOptions, type VerifyReport, type VerifyStep, verifyBundle } from './verify.js';
