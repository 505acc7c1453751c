/** What a command is. One file a verb in `commands/`; each parses, calls the library and prints, nothing more. */
import type { Clock, Progress } from '../base/index.js';
import type { Style } from './style.js';

export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  /** May be given several times; the value is then an array. */
  readonly multiple?: boolean;
  /** One letter. */
  readonly short?: string;
  /** Placeholder of the value in help: `FILE`. */
  readonly value?: string;
  /** The values allowed, for help, completion and refusal. */
  readonly choices?: readonly string[];
  readonly help: string;
}

export type OptionValue = string | boolean | readonly string[] | undefined;

/** What opens the vault. Exactly one of the two is present. */
export interface Unlock {
  readonly passphrase?: string;
  readonly keyFile?: string;
}

export interface Answer {
  /** The one document of `--json`. */
  readonly json: unknown;
  /** What a person reads on stdout without `--json`; a final line feed is added. */
  readonly text: string;
  /** 0 unless given: done, whatever the verdict. */
  readonly exitCode?: number;
}

export interface Call {
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, OptionValue>>;
  /** A bar on stderr, drawn once the work has taken a second. */
  progress(label: string): Progress;
  /** One line on stderr. */
  note(line: string): void;
  /** Colours for `text`; the identity where stdout is no terminal. */
  readonly style: Style;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly clock: Clock;
  /** @see Io.vaultCost */
  readonly vaultCost?: number;
  /**
   * `--key-file`, else `MUNIMENT_PASSPHRASE`, else a prompt without echo on a terminal.
   * @param confirm ask twice: the passphrase is new
   * @throws `VAULT_LOCKED` where there is nothing of the three
   */
  unlock(confirm?: boolean): Promise<Unlock>;
  /** Aborted by Ctrl-C, and by SIGTERM. */
  readonly signal: AbortSignal;
  /** Runs on success, failure, Ctrl-C and SIGTERM alike: remove temporary files, close the room. Last registered, first run. */
  onExit(cleanup: () => void | Promise<void>): void;
}

export interface Command {
  readonly name: string;
  /** One line without a full stop. */
  readonly summary: string;
  /** After `muniment`: `release MODEL --to RECIPIENT [--out FILE]`. */
  readonly usage: string;
  /** A paragraph or two under the usage line. */
  readonly description?: string;
  /** Whole command lines. */
  readonly examples: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly positionals: {
    readonly names: readonly string[];
    readonly min: number;
    readonly max: number;
    /** Fixed words that a position may hold, for completion: `log` has `verify` and `show`. */
    readonly choices?: readonly string[];
  };
  run(call: Call): Promise<Answer>;
}

/** Options that every command takes. */
export const commonOptions: Readonly<Record<string, OptionSpec>> = {
  json: { type: 'boolean', help: 'print one JSON document on stdout; messages go to stderr' },
  help: { type: 'boolean', short: 'h', help: 'show this help' },
  room: { type: 'string', value: 'DIR', help: 'the room to work in (default: .muniment here or in a parent folder)' },
  'key-file': {
    type: 'string',
    value: 'FILE',
    help: 'open the vault with the content of this file instead of MUNIMENT_PASSPHRASE',
  },
};
