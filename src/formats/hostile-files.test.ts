/** The kinds of hostile files that every reader is to refuse: code, message, place and what to do, word for word. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { vector } from './testing/files.js';
import { refusalOf } from './testing/mutants.js';

interface Told {
  readonly code: string;
  readonly message: string;
  readonly expected?: string;
  readonly got?: string;
  readonly where: string;
  readonly todo: string;
}
const kinds = JSON.parse(readFileSync(vector('bad/expected-hostile.json'), 'utf8')) as Record<
  string,
  Record<string, Told>
>;

for (const [kind, files] of Object.entries(kinds)) {
  test(`${kind}: refused, and said what, where and what to do`, async () => {
    for (const [file, told] of Object.entries(files)) {
      const error = await refusalOf(vector(`bad/${file}`));
      assert.ok(error !== null, `${file} is refused`);
      const { expected, got, where, todo } = error.facts;
      const here = where?.replace(vector('bad/'), '');
      const facts = { code: error.code, message: error.message, expected, got, where: here, todo };
      assert.deepEqual(JSON.parse(JSON.stringify(facts)), told, file);
      assert.ok(told.where.includes(file) && told.todo.length > 0, `${file}: the file, and what to do`);
    }
  });
}

test('every bad file is expected somewhere', () => {
  const names = readdirSync(vector('bad'), { recursive: true, encoding: 'utf8' });
  const expected = new Set(
    names
      .filter((name) => /^expected-[a-z]+\.json$/.test(name))
      .flatMap((name) => {
        const held = JSON.parse(readFileSync(vector(`bad/${name}`), 'utf8')) as Record<string, object>;
        return [...Object.keys(held), ...Object.values(held).flatMap((one) => Object.keys(one))];
      })
      .map((name) => path.basename(name)),
  );
  const files = names.filter((name) => /\.(onnx|safetensors)$/.test(name));
  assert.ok(files.length > 20);
  assert.deepEqual(
    files.filter((name) => !expected.has(path.basename(name))),
    [],
  );
});
