/** Holds the house: the arrows of src/README.md, one door a folder, no cycles, the heavy engine loaded only on use. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const src = path.join(root, 'src');

/** The table of src/README.md: folder → folders it may import, before the closure. */
function arrows(): Map<string, readonly string[]> {
  const rows = readFileSync(path.join(src, 'README.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| `/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  return new Map(
    rows.map((cells) => [
      cells[1]!.replaceAll('`', ''),
      (cells[3] ?? '')
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean),
    ]),
  );
}

/** What an allowed folder may import is allowed too; `base` and `stats` are allowed to all. */
function allowed(folder: string, table: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const reached = new Set<string>(folder === 'base' ? [] : ['base']);
  if (folder !== 'base' && folder !== 'stats') reached.add('stats');
  const open = [...(table.get(folder) ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === 'all') open.push(...table.keys());
    else if (!reached.has(next) && next !== folder) {
      reached.add(next);
      open.push(...(table.get(next) ?? []));
    }
  }
  return reached;
}

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(dir, entry.name);
    return entry.isDirectory() ? sources(file) : entry.name.endsWith('.ts') ? [file] : [];
  });
}

/** Every import, export-from and import() of a file; comments are blanked first. */
function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|[\s;{}(,])\/\/.*$/gm, '');
  const found: Import[] = [];
  for (const match of text.matchAll(/^\s*(import|export)\s+(type\s+)?(?:[^;'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)) {
    found.push({ file, specifier: match[3]!, typeOnly: match[2] !== undefined, dynamic: false });
  }
  for (const match of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)) {
    found.push({ file, specifier: match[1]!, typeOnly: false, dynamic: true });
  }
  return found;
}

const table = arrows();
const files = sources(src);
const folderOf = (file: string): string => path.relative(src, file).split(path.sep)[0]!;
const isTest = (file: string): boolean => file.endsWith('.test.ts') || file.split(path.sep).includes('testing');
const place = (one: Import): string => `${path.relative(root, one.file)} imports ${one.specifier}`;
const imports = files.flatMap(importsOf);
const target = (one: Import): string => path.resolve(path.dirname(one.file), one.specifier.replace(/\.js$/, '.ts'));

test('the table of src/README.md names every folder of src and no other', () => {
  const folders = readdirSync(src, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  assert.ok(files.length > 40, 'the sources were found');
  assert.deepEqual([...table.keys()].sort(), folders.sort());
});

test('the table itself has no cycle', () => {
  for (const folder of table.keys()) {
    const direct = (table.get(folder) ?? []).filter((name) => name !== 'all');
    for (const next of direct) {
      assert.ok(!allowed(next, table).has(folder), `${folder} → ${next} → … → ${folder}`);
    }
  }
});

test('every import follows an arrow, through the door of the folder', () => {
  const relative = imports.filter((one) => one.specifier.startsWith('.'));
  const wrong: string[] = [];
  for (const one of relative) {
    const to = target(one);
    if (!existsSync(to)) wrong.push(`${place(one)}: no such file`);
    else if (to === path.join(root, 'package.json')) continue;
    else if (!to.startsWith(`${src}${path.sep}`)) wrong.push(`${place(one)}: outside src`);
    else if (folderOf(to) !== folderOf(one.file)) {
      if (!isTest(one.file) && !allowed(folderOf(one.file), table).has(folderOf(to)))
        wrong.push(`${place(one)}: no arrow`);
      // Tests may use another folder's test helpers.
      if (path.basename(to) !== 'index.ts' && !(isTest(one.file) && isTest(to)))
        wrong.push(`${place(one)}: not its door`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('what is shipped imports no test helper', () => {
  const wrong = imports.filter((one) => !isTest(one.file) && one.specifier.startsWith('.') && isTest(target(one)));
  assert.deepEqual(wrong.map(place), []);
});

test('doors hold exports only', () => {
  for (const folder of table.keys()) {
    const door = path.join(src, folder, 'index.ts');
    if (folder === 'cli') continue;
    const text = readFileSync(door, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    const rest = text.replace(/^export\s+(type\s+)?(\*|\{[^}]*\})\s+from\s+'\.[^']*';$/gm, '').trim();
    assert.equal(rest, '', `src/${folder}/index.ts holds more than exports`);
  }
});

test('no cycle of modules, apart from imports of types', () => {
  const next = new Map<string, string[]>();
  for (const one of imports) {
    if (!one.specifier.startsWith('.') || one.typeOnly || one.dynamic) continue;
    next.set(one.file, [...(next.get(one.file) ?? []), target(one)]);
  }
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file);
    assert.equal(at, -1, `cycle: ${[...trail.slice(at), file].map((f) => path.relative(src, f)).join(' → ')}`);
    if (done.has(file)) return;
    for (const to of next.get(file) ?? []) visit(to, [...trail, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

test('onnxruntime is loaded on first use only', () => {
  const heavy = imports.filter((one) => one.specifier.startsWith('onnxruntime'));
  assert.ok(heavy.length > 0, 'compute loads it somewhere');
  const wrong = heavy.filter((one) => !isTest(one.file) && !one.typeOnly && !one.dynamic);
  assert.deepEqual(wrong.map(place), []);
});

test('every package that is imported is a dependency, and shipped code needs no development dependency', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  const shipped = { ...manifest.dependencies, ...manifest.optionalDependencies };
  const all = { ...shipped, ...manifest.devDependencies };
  const wrong: string[] = [];
  for (const one of imports) {
    if (one.specifier.startsWith('.') || one.specifier.startsWith('node:')) continue;
    const name = one.specifier
      .split('/')
      .slice(0, one.specifier.startsWith('@') ? 2 : 1)
      .join('/');
    if (!(name in (isTest(one.file) || one.typeOnly ? all : shipped))) wrong.push(place(one));
  }
  assert.deepEqual(wrong, []);
});

test('every subpath export has a folder with a door', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string>;
  };
  for (const [subpath, file] of Object.entries(manifest.exports)) {
    const door = path.join(root, file.replace('./dist/', 'src/').replace(/\.js$/, '.ts'));
    assert.ok(existsSync(door), `${subpath} → ${path.relative(root, door)}`);
  }
});
