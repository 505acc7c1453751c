/** By the commands alone: a release made in one room, and made again on another machine that has neither room nor onnxruntime. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { initialDense } from '../src/align/testing/dense.js';
import { fixedClock, seededRandom } from '../src/base/index.js';
import { muniment } from '../src/cli/testing/io.js';
import { commandWords } from '../src/cli/testing/process.js';
import { denseExternal, denseOnnx, denseShards } from '../src/mark/testing/room.js';

/** Round 1000 of quicknet, as any relay gives it; published at 15:59:24 UTC on 23 August 2023. It vouches for itself. */
const ROUND = {
  round: 1000,
  randomness: 'fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd',
  signature: 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39',
};
const clock = fixedClock('2023-08-23T15:59:22Z');
const net = initialDense([8, 16, 16, 2], seededRandom(1));
let folder = '';
const here = (...names: string[]): string => path.join(folder, 'here', ...names);
const there = (...names: string[]): string => path.join(folder, 'there', ...names);

const releases: Record<string, { id: string; files: string }> = {};

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-recompute-cli-'));
  mkdirSync(here());
  mkdirSync(there());
  const good = async (...argv: string[]) => {
    const ran = await muniment(argv, { cwd: here(), env: { MUNIMENT_PASSPHRASE: 'a long sentence' }, clock });
    assert.equal(ran.code, 0, `${argv.join(' ')}\n${ran.stderr}`);
    return ran;
  };
  writeFileSync(here('round.json'), JSON.stringify(ROUND));
  writeFileSync(here('net.onnx'), denseOnnx(net));
  await denseShards(net, here('shards'));
  await denseExternal(net, here('external'));
  await good('init', '--owner', 'Example Works');
  for (const [model, out, ...more] of [
    ['net.onnx', 'copy.onnx'],
    ['shards', 'shards-copy', '--plain-stack'],
    ['external/net.onnx', 'external-copy'],
  ] as const) {
    await good('record', 'model', model);
    const made = await good(
      'release',
      model,
      '--to',
      'acme',
      '--out',
      out,
      '--beacon',
      'round.json',
      '--json',
      ...more,
    );
    const { release, sha256 } = made.json() as { release: string; sha256: string };
    const proved = await good('prove', release, '--expert', '--all-batches', '--out', `${out}.bundle`);
    assert.match(proved.stdout, /opened all 2 batches of r-[0-9a-f]{16}: every key of it is burnt/);
    releases[out] = { id: release, files: sha256 };
  }
  // The id that `prove` takes is found where its message says.
  assert.match((await good('log')).stdout, new RegExp(`release .* to acme \\(${releases['copy.onnx']!.id}\\)`));
  for (const name of readdirSync(here())) {
    if (name !== '.muniment') cpSync(here(name), there(name), { recursive: true });
  }
  rmSync(here(), { recursive: true });
});
after(() => rm(folder, { recursive: true }));

/** Refuses onnxruntime, as a machine without it does. */
const WITHOUT_ENGINE = `data:text/javascript,${encodeURIComponent(
  `import { register } from 'node:module';
   register('data:text/javascript,' + encodeURIComponent(
     "export async function resolve(name, context, next) { if (name.startsWith('onnxruntime')) throw new Error('no engine here'); return next(name, context); }"));`,
)}`;

/** A process of its own, with no passphrase, in another folder. */
function verify(...argv: string[]): { code: number | null; stdout: string; stderr: string } {
  const env = { ...process.env };
  delete env.MUNIMENT_PASSPHRASE;
  const words = ['--import', WITHOUT_ENGINE, ...commandWords(), 'verify', ...argv];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd: there(), env, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

/** The same words in this process, where another start would show nothing more. */
const verifyHere = (...argv: string[]) => muniment(['verify', ...argv], { cwd: there() });

for (const [original, copy, released] of [
  ['net.onnx', 'copy.onnx', 'copy.onnx'],
  ['shards', 'shards-copy', 'shards-copy'],
  ['external/net.onnx', 'external-copy', 'external-copy'],
] as const) {
  test(`${original}: made again elsewhere, bit for bit`, () => {
    assert.ok(!existsSync(here()), 'the room is gone');
    const words = [`${copy}.bundle`, '--original', original, '--released', released, '--beacon', 'round.json'];
    const ran = verify(...words, '--json');
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    const report = JSON.parse(ran.stdout) as {
      result: string;
      release: { id: string; recomputed: boolean; files: { sha256: string }[] };
      steps: { step: string; outcome: string }[];
    };
    assert.deepEqual([report.result, report.release.id], ['consistent', releases[copy]!.id]);
    assert.deepEqual([report.release.recomputed, report.release.files[0]!.sha256], [true, releases[copy]!.files]);
    for (const name of ['seeds', 'beacon', 'released file', 'release']) {
      assert.equal(report.steps.find((one) => one.step === name)?.outcome, 'holds', name);
    }
  });
}

test('without --original: exit 0, and one line says what was not done and how to', async () => {
  const ran = await verifyHere('copy.onnx.bundle');
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(
    ran.stdout,
    /unknown {2}release: r-[0-9a-f]{16} was not recomputed: give the unmarked original with --original FILE/,
  );
});

test('a changed original, a changed part, another beacon: exit 1, with what was expected, what came, where and what to do', async () => {
  const change = (from: string, to: string, at: number): void => {
    const bytes = readFileSync(there(from));
    bytes[at] = bytes[at]! ^ 1;
    writeFileSync(there(to), bytes);
  };
  change('net.onnx', 'changed.onnx', 700);
  cpSync(there('external'), there('changed'), { recursive: true });
  change('external/weights/fc2.bin', 'changed/weights/fc2.bin', 9);
  writeFileSync(there('wrong.json'), JSON.stringify({ ...ROUND, round: 1001 }));
  for (const [code, ...words] of [
    ['MARK_ORIGINAL_FILE', 'copy.onnx.bundle', '--original', 'changed.onnx'],
    ['MARK_ORIGINAL_FILE', 'external-copy.bundle', '--original', 'changed/net.onnx'],
    ['MARK_RELEASED_FILE', 'copy.onnx.bundle', '--released', 'net.onnx'],
    ['BEACON_SIGNATURE', 'copy.onnx.bundle', '--original', 'net.onnx', '--beacon', 'wrong.json'],
  ] as const) {
    const ran = await verifyHere(...words);
    assert.equal(ran.code, 1, ran.stdout + ran.stderr);
    assert.match(ran.stdout, new RegExp(`${code}\\n +expected: .+\\n +got: .+\\n +where: .+\\n +to do: .+`));
    const document = await verifyHere(...words, '--json');
    const { error } = document.json() as { error: Record<string, string> };
    assert.equal(error.code, code);
    assert.deepEqual(Object.keys(error).sort(), ['code', 'expected', 'got', 'message', 'todo', 'where']);
  }
});

test('a path that leads nowhere is exit 3, a graph without an original exit 2', async () => {
  assert.equal((await verifyHere('copy.onnx.bundle', '--original', 'nowhere.onnx')).code, 3);
  assert.equal((await verifyHere('copy.onnx.bundle', '--graph', 'net.onnx')).code, 2);
});
