export { type Disk, realDisk } from '../disk.js';
export { openLedger, paths } from '../ledger.js';
export { verifyConsistency, verifyInclusion } from '../merkle.js';
export { verifyLog } from '../verify-log.js';
