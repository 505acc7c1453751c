/** The part of a room that recording needs; an open `Room` is one. */
import type { ByteSource, Json } from '../base/index.js';
import type { StatementView } from './registry.js';

export interface RecordingRoom {
  readonly ledger: {
    /** All or nothing; resolves when durable. */
    append(
      inputs: {
        kind: string;
        subjects: { name: string; sha256: string }[];
        predicate: Record<string, Json>;
      }[],
    ): Promise<readonly { readonly index: number; readonly sha256: string }[]>;
    statements(): AsyncIterable<StatementView>;
  };
  /** Null where the room was opened without its passphrase. */
  readonly vault: {
    list(): Promise<readonly string[]>;
    putFile(source: ByteSource, name: string): Promise<unknown>;
    openFile(name: string): Promise<ByteSource>;
    remove(name: string): Promise<void>;
  } | null;
}
