export type { Authority, RoomConfig } from './config.js';
export { findRoom, type InitOptions, initRoom, type OpenOptions, openRoom, ROOM_FOLDER, type Room } from './room.js';
export { earliestStamp, type Stamp, type StampOutcome, stampFile, stampsOf } from './stamps.js';
export { changeUnlock, type Unlock } from './unlock.js';
export { createVault, openVault, type Vault } from './vault.js';
