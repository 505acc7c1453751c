/** The room that a command works in: `--room`, else the nearest `.muniment` upwards. */
import path from 'node:path';
import { usageError } from '../base/index.js';
import { findRoom, openRoom, type Room } from '../room/index.js';
import type { Call } from './command.js';
import { textOption } from './options.js';

/**
 * @param unlock true where the command signs or reads secrets; a room that is only read opens without a passphrase
 * @throws `ROOM_NOT_FOUND`, `VAULT_LOCKED`, and what `openRoom` throws
 */
export async function openRoomFor(call: Call, { unlock }: { readonly unlock: boolean }): Promise<Room> {
  const dir = await roomFolder(call);
  const room = await openRoom(dir, { clock: call.clock, ...(unlock ? { unlock: await call.unlock() } : {}) });
  call.onExit(() => room.close());
  return room;
}

/** @throws `ROOM_NOT_FOUND` */
export async function roomFolder(call: Call): Promise<string> {
  const named = textOption(call, 'room');
  if (named !== undefined) return path.resolve(call.cwd, named);
  const found = await findRoom(call.cwd);
  if (found !== null) return found;
  throw usageError('ROOM_NOT_FOUND', 'there is no room here', {
    expected: 'a folder .muniment here or in a parent folder',
    where: call.cwd,
    todo: 'muniment init makes one; --room DIR names one elsewhere',
  });
}

/** Has the log stamped where the room names authorities. What was recorded stands even when none of them answers. */
export async function stampRoom(room: Room, call: Call): Promise<void> {
  const { failures } = await room.stamp();
  for (const { url, error } of failures) {
    call.note(`no time stamp from ${url}: ${error.message} (${error.code}); the next command that records asks again`);
  }
}
