/** What mutants are made of: the files that `readers.json` names for each reader. A new reader needs a line there. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Seed {
  /** Path of the file that is opened, from the repository's root. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Files in the same folder, which the model may refer to. */
  readonly beside: ReadonlyMap<string, Uint8Array>;
}

export interface Reader {
  readonly name: string;
  readonly seeds: readonly Seed[];
  /** Which arbitraries of `headers.ts` make files of this format from nothing. */
  readonly headers: readonly string[];
}

interface Line {
  /** Paths from the root; `*` stands for any part of a file's name. */
  readonly seeds: readonly string[];
  readonly headers?: readonly string[];
  /** What the names of a model's other files end in, `{stem}` being the model's without its ending: they are given with it, and mutated with it. */
  readonly parts?: readonly string[];
}

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** Files beside a model are read below this, and in these numbers. */
const LARGEST_PART = 64 * 1024;
const MOST_PARTS = 32;

const manifest = (): Readonly<Record<string, Line>> =>
  JSON.parse(readFileSync(new URL('./readers.json', import.meta.url), 'utf8')) as Record<string, Line>;

export const readerNames = (): readonly string[] => Object.keys(manifest());

/** @throws where a reader is not listed, or a seed that it names is not there */
export function readReader(name: string): Reader {
  const line = manifest()[name];
  if (line === undefined) throw new Error(`benches/fuzz/readers.json has no reader ${name}`);
  const seeds = line.seeds.flatMap((pattern) => {
    const found = filesOf(pattern);
    if (found.length === 0) throw new Error(`benches/fuzz/readers.json: nothing is at ${pattern} (${name})`);
    return found.map((file) => seedOf(file, line.parts ?? []));
  });
  return { name, seeds, headers: line.headers ?? [] };
}

function filesOf(pattern: string): readonly string[] {
  const folder = path.dirname(path.join(root, pattern));
  const names = path.basename(pattern).split('*');
  const matches = new RegExp(`^${names.map((part) => part.replace(/[.+?^$()|[\]\\]/g, '\\$&')).join('.*')}$`);
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && matches.test(entry.name))
    .map((entry) => path.join(folder, entry.name))
    .sort();
}

function seedOf(file: string, parts: readonly string[]): Seed {
  const folder = path.dirname(file);
  const beside = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== path.basename(file))
    .filter((entry) => parts.some((ending) => entry.name.endsWith(ending.replace('{stem}', path.parse(file).name))))
    .filter((entry) => statSync(path.join(folder, entry.name)).size <= LARGEST_PART)
    .slice(0, MOST_PARTS)
    .map((entry) => [entry.name, new Uint8Array(readFileSync(path.join(folder, entry.name)))] as const);
  return { name: path.relative(root, file), bytes: new Uint8Array(readFileSync(file)), beside: new Map(beside) };
}
