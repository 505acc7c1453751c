/**
 * Packages of models, fetched as they were published: `npm pack` of an exact version, checked against its integrity,
 * unpacked without its dependencies (some of which no longer exist) and without its scripts.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PublishedPackage {
  readonly name: string;
  readonly version: string;
  /** Of the tarball, as the registry states it (Subresource Integrity). */
  readonly integrity: string;
  readonly licence: string;
  readonly source: string;
}

export interface PublishedModel {
  /** Key of the package. */
  readonly package: string;
  readonly file: string;
  /** [start, end) where the model is one of several in a file. */
  readonly bytes?: readonly [number, number];
}

/** Kept between runs; `npm ci` empties it with everything else. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/kinship', import.meta.url));

/** @returns the folder of the unpacked package */
export function fetchPackage({ name, version, integrity }: PublishedPackage): string {
  const folder = path.join(CACHE, `${name}@${version}`.replace(/[/@]/g, '_'));
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(path.join(CACHE, 'fetching-'));
  try {
    execFileSync('npm', ['pack', `${name}@${version}`, '--silent', '--ignore-scripts'], { cwd: work, stdio: 'pipe' });
    const [tarball] = readdirSync(work);
    const bytes = readFileSync(path.join(work, tarball!));
    const found = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    if (found !== integrity) throw new Error(`${name}@${version} is another file than it was: ${found}`);
    execFileSync('tar', ['xzf', tarball!], { cwd: work });
    const [unpacked] = readdirSync(work).filter((entry) => entry !== tarball);
    renameSync(path.join(work, unpacked!), folder);
    return folder;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A file that the product can open: the model itself, cut out of the file that it travels in, or unwrapped from a script. */
export function modelFile(folder: string, { file, bytes }: PublishedModel): string {
  const whole = path.join(folder, file);
  if (bytes !== undefined) {
    const part = `${whole}.${bytes[0]}.tflite`;
    if (!existsSync(part)) writeFileSync(part, readFileSync(whole).subarray(bytes[0], bytes[1]));
    return part;
  }
  return file.endsWith('.js') ? unwrapped(whole) : whole;
}

/** nsfwjs ships model.json and its shards as scripts whose exports are the object and the shards' bytes in base64. */
function unwrapped(script: string): string {
  const folder = path.join(path.dirname(script), 'unwrapped');
  const target = path.join(folder, 'model.json');
  if (existsSync(target)) return target;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{"type":"commonjs"}');
  const exported = (name: string): unknown => {
    const copy = path.join(folder, `${name}.js`);
    writeFileSync(copy, readFileSync(path.join(path.dirname(script), `${name}.min.js`)));
    return createRequire(copy)(copy);
  };
  const model = exported('model') as { readonly weightsManifest: readonly { readonly paths: readonly string[] }[] };
  for (const name of model.weightsManifest.flatMap(({ paths }) => paths)) {
    writeFileSync(path.join(folder, name), Buffer.from(exported(name) as string, 'base64'));
  }
  writeFileSync(target, JSON.stringify(model));
  return target;
}
