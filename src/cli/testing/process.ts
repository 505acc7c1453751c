/** How a test starts the command in a process of its own: as it was built, where that is what the sources say now. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

/** As `scripts/setup.mjs` decides whether to compile. */
function isBuilt(): boolean {
  const stamp = path.join(root, 'dist/.built');
  if (!existsSync(stamp)) return false;
  const { mtimeMs } = statSync(stamp);
  const sources = (readdirSync(path.join(root, 'src'), { recursive: true }) as string[]).filter((name) =>
    /\.(ts|json|html|css|svg)$/.test(name),
  );
  return sources.every((name) => statSync(path.join(root, 'src', name)).mtimeMs <= mtimeMs);
}

/**
 * Words after `node` that start `muniment`. From the sources a start takes twice as long, so that is for whoever runs one
 * test file without having built; `npm test` builds.
 */
export function commandWords(): readonly string[] {
  if (isBuilt()) return [path.join(root, 'dist/cli/main.js')];
  const loader = pathToFileURL(path.join(root, 'node_modules/tsx/dist/loader.mjs')).href;
  return ['--import', loader, path.join(root, 'src/cli/main.ts')];
}
