/** The world a command runs in, so that tests run commands in their own process. */
import type { Clock } from '../base/index.js';

export interface TextOut {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Io {
  readonly stdout: TextOut;
  readonly stderr: TextOut;
  /** A terminal to ask for a passphrase, or null: then nothing is ever asked. */
  readonly askSecret: ((question: string) => Promise<string>) | null;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly clock: Clock;
  /** scrypt's N of a vault that is made; lower in tests only, where it would take most of their time. */
  readonly vaultCost?: number;
  readonly signal: AbortSignal;
  onExit(cleanup: () => void | Promise<void>): void;
}
