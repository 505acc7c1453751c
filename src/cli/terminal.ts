/** Asking a terminal for a secret: no echo, and never anything but a terminal. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { environmentError } from '../base/index.js';

/** Null unless stdin and stderr are both terminals: nothing ever waits for a prompt in a script. */
export function secretPrompt(
  stdin: NodeJS.ReadStream,
  stderr: NodeJS.WriteStream,
): ((question: string) => Promise<string>) | null {
  if (!stdin.isTTY || !stderr.isTTY) return null;
  return (question) =>
    new Promise((resolve, reject) => {
      stderr.write(question);
      // readline echoes what is typed into its output; this output drops it.
      const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
      const lines = createInterface({ input: stdin, output: silent, terminal: true });
      let answered = false;
      lines.once('line', (line) => {
        answered = true;
        lines.close();
        resolve(line);
      });
      // In raw mode Ctrl-C reaches readline, not the process.
      lines.once('SIGINT', () => {
        lines.close();
        process.kill(process.pid, 'SIGINT');
      });
      lines.once('close', () => {
        stderr.write('\n');
        if (!answered) reject(environmentError('VAULT_LOCKED', 'no passphrase was given', { todo: 'run it again' }));
      });
    });
}
