/** A room in memory: no signatures, no files. What it holds is seen by the test. */
import { type ByteSource, type Json, memorySource, sha256Hex, utf8 } from '../../base/index.js';
import type { RecordingRoom } from '../recording-room.js';
import type { StatementView } from '../registry.js';

export interface MemoryRoom extends RecordingRoom {
  readonly stated: StatementView[];
  readonly kept: Map<string, Uint8Array>;
}

export function memoryRoom(): MemoryRoom {
  const stated: StatementView[] = [];
  const kept = new Map<string, Uint8Array>();
  return {
    stated,
    kept,
    ledger: {
      async append(inputs) {
        // Through JSON, as a real ledger: what JSON drops is dropped here too.
        const copies = JSON.parse(JSON.stringify(inputs)) as {
          kind: string;
          subjects: StatementView['subjects'];
          predicate: Record<string, Json>;
        }[];
        return copies.map((input) => {
          const index = stated.length;
          const view = { ...input, index, sha256: sha256Hex(utf8(`statement ${index}`)), time: '2026-03-01T00:00:00Z' };
          stated.push(view);
          return { index, sha256: view.sha256 };
        });
      },
      async *statements() {
        yield* stated;
      },
    },
    vault: {
      list: async () => [...kept.keys()],
      async putFile(source, name) {
        const parts: Uint8Array[] = [];
        for (let at = 0; at < source.byteLength; at += 1000) {
          parts.push(await source.slice(at, Math.min(at + 1000, source.byteLength)));
        }
        kept.set(name, Uint8Array.from(Buffer.concat(parts)));
      },
      async openFile(name): Promise<ByteSource> {
        return memorySource(kept.get(name) ?? assertKept(name), name);
      },
      async remove(name) {
        kept.delete(name);
      },
    },
  };
}

function assertKept(name: string): never {
  throw new Error(`not kept: ${name}`);
}
