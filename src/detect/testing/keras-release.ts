/** A release of one Keras file in a room of its own. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { type Released, release } from '../../mark/index.js';
import { type TestRoom, testRoom } from '../../mark/testing/room.js';
import { recordAssets } from '../../record/index.js';

/** Below what float32 holds of any weight: units move, and nothing is marked. */
export const NO_STRENGTH = 1e-12;

export interface KerasRelease {
  readonly room: TestRoom;
  /** The original, in the room's folder, which the caller removes. */
  readonly model: string;
  readonly out: string;
  readonly made: Released;
}

/** @param strength absent: the usual one */
export async function kerasRelease(original: string, strength?: number): Promise<KerasRelease> {
  const room = await testRoom();
  const name = path.basename(original);
  const model = path.join(room.dir, name);
  await cp(original, model);
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name }, keep: 'full' }]);
  const out = path.join(room.dir, `copy-${name}`);
  const settings = strength === undefined ? {} : { strength };
  return { room, model, out, made: await release(room, { model, recipient: 'acme', out, ...settings }) };
}
