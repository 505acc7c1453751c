import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** Relative paths of all files below a folder. */
export async function filesUnder(dir: string, relative = ''): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(path.join(dir, relative), { withFileTypes: true })) {
    const name = path.posix.join(relative, entry.name);
    if (entry.isDirectory()) found.push(...(await filesUnder(dir, name)));
    else found.push(name);
  }
  return found.sort();
}
