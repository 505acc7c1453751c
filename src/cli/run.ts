/** One command line from words to exit code. `main.ts` gives it a process; tests give it anything. */
import { readFileSync } from 'node:fs';
import { environmentError, exitCodeOf, type MunimentError, toMunimentError, usageError } from '../base/index.js';
import type { Answer, Call, Command, Unlock } from './command.js';
import { commandHelp, overview } from './help.js';
import type { Io } from './io.js';
import { parseCommandLine } from './parse.js';
import { progressScreen } from './progress.js';
import { loadCommand, registry } from './registry.js';
import { plainStyle, printable, styleFor } from './style.js';

/**
 * Runs `muniment` with these words and answers the exit code (DESIGN: 0 done, 1 evidence bad, 2 usage, 3 input refused,
 * 4 environment, 70 our own fault). With `--json`, stdout gets exactly one document: the command's, or
 * `{"error": {code, kind, message, expected?, got?, where?, todo?}}`.
 */
export async function runMain(argv: readonly string[], io: Io): Promise<number> {
  const json = wantsJson(argv);
  const screen = progressScreen(io.stderr, io.clock);
  const style = json ? plainStyle : styleFor(io.stdout, io.env);
  try {
    const answer = await dispatch(argv);
    screen.clear();
    if (json) io.stdout.write(`${JSON.stringify(answer.json)}\n`);
    else if (answer.text !== '') io.stdout.write(`${printable(answer.text.replace(/\n+$/, ''))}\n`);
    return answer.exitCode ?? 0;
  } catch (thrown) {
    screen.clear();
    const error = toMunimentError(thrown);
    if (json) io.stdout.write(`${JSON.stringify({ error: errorDocument(error) })}\n`);
    io.stderr.write(printable(errorText(error, io)));
    return exitCodeOf(error);
  }

  async function dispatch(words: readonly string[]): Promise<Answer> {
    const [verb, ...rest] = words;
    if (verb === undefined || verb === '--help' || verb === '-h') return helpAnswer(rest);
    if (verb === 'help') return helpAnswer(rest);
    if (verb === '--version' || verb === '-V' || verb === 'version') {
      const version = packageVersion();
      return { json: { version }, text: `muniment ${version}` };
    }
    // `muniment --json log`: options follow the verb, as everywhere in this command.
    if (verb.startsWith('-')) {
      throw usageError('COMMAND_MISSING', `the command comes before its options; ${verb} came first`, {
        expected: 'muniment COMMAND [OPTIONS]',
        got: words.join(' '),
        todo: 'muniment help lists the commands',
      });
    }
    const command = await loadCommand(verb);
    const { positionals, options } = parseCommandLine(command, rest);
    if (options.help === true) return helpOf(command);
    const call: Call = {
      positionals,
      options,
      progress: (label) => screen.start(label),
      note(line) {
        screen.clear();
        io.stderr.write(`${printable(line)}\n`);
      },
      style,
      env: io.env,
      cwd: io.cwd,
      clock: io.clock,
      ...(io.vaultCost === undefined ? {} : { vaultCost: io.vaultCost }),
      signal: io.signal,
      onExit: io.onExit,
      unlock: (confirm = false) => unlock(options['key-file'], confirm),
    };
    return command.run(call);
  }

  async function helpAnswer(words: readonly string[]): Promise<Answer> {
    const verb = words.find((word) => !word.startsWith('-'));
    if (verb !== undefined && verb !== 'help') return helpOf(await loadCommand(verb));
    const commands = registry.map(({ name, summary }) => ({ name, summary }));
    return { json: { commands }, text: overview(registry, style) };
  }

  function helpOf(command: Command): Answer {
    const { name, summary, usage, examples, options } = command;
    return { json: { name, summary, usage, examples, options }, text: commandHelp(command, style) };
  }

  async function unlock(keyFile: unknown, confirm: boolean): Promise<Unlock> {
    if (typeof keyFile === 'string') return { keyFile };
    const passphrase = io.env.MUNIMENT_PASSPHRASE;
    if (passphrase) return { passphrase };
    if (io.askSecret === null) {
      throw environmentError('VAULT_LOCKED', 'the vault is locked and nothing here opens it', {
        expected: 'MUNIMENT_PASSPHRASE or --key-file FILE',
        todo: 'set MUNIMENT_PASSPHRASE in the environment, or name a key file with --key-file',
      });
    }
    screen.clear();
    const first = await io.askSecret(confirm ? 'New passphrase of the vault: ' : 'Passphrase of the vault: ');
    if (confirm && first !== (await io.askSecret('The same again: '))) {
      throw usageError('PASSPHRASE_MISMATCH', 'the two passphrases differ', { todo: 'run the command again' });
    }
    return { passphrase: first };
  }
}

/** `--json` counts before the line is parsed, so that a usage error is a document too. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

export function errorDocument(error: MunimentError): Record<string, string> {
  const { expected, got, where, todo } = error.facts;
  return {
    code: error.code,
    kind: error.kind,
    message: error.message,
    ...(expected === undefined ? {} : { expected }),
    ...(got === undefined ? {} : { got }),
    ...(where === undefined ? {} : { where }),
    ...(todo === undefined ? {} : { todo }),
  };
}

function errorText(error: MunimentError, io: Io): string {
  const { expected, got, where, todo, cause } = error.facts;
  const style = styleFor(io.stderr, io.env);
  const lines = [`${style.bad('error')}: ${error.message} (${error.code})`];
  if (expected !== undefined) lines.push(`  expected: ${expected}`);
  if (got !== undefined) lines.push(`  got:      ${got}`);
  if (where !== undefined) lines.push(`  where:    ${where}`);
  if (todo !== undefined) lines.push(`  to do:    ${todo}`);
  // A fault of ours needs its stack to be reported; a refusal does not.
  if (error.kind === 'internal' && cause instanceof Error && cause.stack) lines.push(style.dim(cause.stack));
  return `${lines.join('\n')}\n`;
}

/** From package.json, two folders up from `src/cli` and from `dist/cli` alike. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
