/** How a test starts a module beside it in a process of its own: as source or as built, whichever the test itself is. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Words after `node`.
 * @param name without ending, `./testing/worker`
 * @param from `import.meta.url`
 */
export function scriptWords(name: string, from: string): readonly string[] {
  const extension = path.extname(fileURLToPath(from));
  const script = fileURLToPath(new URL(`${name}${extension}`, from));
  return extension === '.ts' ? ['--import', 'tsx', script] : [script];
}
