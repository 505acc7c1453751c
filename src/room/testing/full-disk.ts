/**
 * A disk that fills up, for every module of this process that writes through `node:fs/promises`: from call number `full`
 * on, whatever takes space is refused with ENOSPC. Removing, renaming and reading go on, as on a real full disk.
 */
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import path from 'node:path';

type Method = (...args: unknown[]) => Promise<unknown>;

const full = (): Error =>
  Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', errno: -28, syscall: 'write' });

async function handlePrototype(): Promise<Record<string, Method>> {
  const handle: FileHandle = await fs.open(path.join(os.tmpdir()), 'r');
  try {
    return Object.getPrototypeOf(handle) as Record<string, Method>;
  } finally {
    await handle.close();
  }
}

/** Opening makes a new name only where the flags say so. */
const takesSpace = (name: string, args: readonly unknown[]): boolean =>
  name !== 'open' || /[wax]/.test(String(args[1]));

/**
 * @param fillsAt the number of the first call that is refused, counting from 1; 0 refuses none
 * @returns what the work gave or threw, and how many calls took space
 */
export async function onDiskThatFills<T>(
  fillsAt: number,
  work: () => Promise<T>,
): Promise<{ outcome: T | Error; calls: number }> {
  const onHandle = await handlePrototype();
  const module = fs as unknown as Record<string, Method>;
  const patched: [Record<string, Method>, string, Method][] = [];
  let calls = 0;
  const patch = (owner: Record<string, Method>, name: string): void => {
    const real = owner[name]!;
    patched.push([owner, name, real]);
    owner[name] = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      if (takesSpace(name, args) && ++calls >= fillsAt && fillsAt > 0) throw full();
      return real.apply(this, args);
    };
  };
  for (const name of ['open', 'mkdir', 'writeFile']) patch(module, name);
  for (const name of ['write', 'writeFile', 'sync']) patch(onHandle, name);
  syncBuiltinESMExports();
  try {
    return { outcome: await work().catch((error: Error) => error), calls };
  } finally {
    for (const [owner, name, real] of patched) owner[name] = real;
    syncBuiltinESMExports();
  }
}
