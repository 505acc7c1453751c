/**
 * Opens each file named, and prints for each its refusal, the milliseconds of processor time that it took and this process's peak memory
 * in MiB. A process of its own: under `node:test`, which follows every promise, opening takes ten times as long.
 */
import { MunimentError } from '../../base/index.js';
import { openModel } from '../index.js';

for (const file of process.argv.slice(2)) {
  const begun = process.cpuUsage();
  let code = 'opened';
  try {
    await (await openModel(file)).close();
  } catch (error) {
    code = error instanceof MunimentError ? error.code : String(error);
  }
  const { user, system } = process.cpuUsage(begun);
  const milliseconds = Math.round((user + system) / 1000);
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  process.stdout.write(`${JSON.stringify({ file, code, milliseconds, peak })}\n`);
}
