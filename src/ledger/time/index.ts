export {
  type BeaconChain,
  fetchBeacon,
  QUICKNET,
  roundAfter,
  timeOfRound,
  type VerifiedRound,
  verifyBeacon,
} from './beacon.js';
export { askAuthority, MAX_TOKEN_BYTES, newNonce, timestampRequest } from './request.js';
export { type VerifiedTimestamp, verifyTimestamp } from './timestamp.js';
