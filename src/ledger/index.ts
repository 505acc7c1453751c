export { type Disk, realDisk } from './disk.js';
export {
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  keyIdOf,
  PAYLOAD_TYPE,
  preAuthEncoding,
  type StatementSigner,
  signEnvelope,
  verifyEnvelope,
} from './dsse.js';
export {
  entryOf,
  type Ledger,
  type LedgerKeys,
  type LedgerOptions,
  type LedgerStatement,
  openLedger,
  paths as ledgerPaths,
  type Receipt,
  type SignedCheckpoint,
} from './ledger.js';
export { type LockOptions, withLock } from './lock.js';
export { EMPTY_ROOT, inclusionProof, leafHash, nodeHash, verifyConsistency, verifyInclusion } from './merkle.js';
export {
  type Checkpoint,
  checkpointText,
  type NoteSigner,
  type NoteVerifier,
  parseCheckpoint,
  parseVerifierKey,
  signNote,
  verifierKey,
  verifyNote,
} from './note.js';
export { formatProof, type VerifiedProof, verifyProof } from './proof-file.js';
export { checkPredicate } from './schemas.js';
export {
  decodeOpenings,
  encodeOpenings,
  fieldHash,
  makeStatement,
  type OpenedPredicate,
  type Openings,
  openFields,
  readPayload,
  type StatementInput,
  type StatementPayload,
  type Subject,
} from './statement.js';
export * from './time/index.js';
export { type LogProblem, type LogReport, type LogTrust, verifyLog } from './verify-log.js';
