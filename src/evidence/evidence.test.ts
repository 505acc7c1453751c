import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fixedClock, seededRandom, utf8 } from '../base/index.js';
import { checkSuspect } from '../detect/index.js';
import { buildOnnx } from '../formats/index.js';
import { hasOpenssl, type TestAuthority, testAuthority } from '../ledger/time/testing/authority.js';
import { release, releaseRoom } from '../mark/index.js';
import { recordAsset } from '../record/index.js';
import { initRoom, type Room } from '../room/index.js';
import { type BundleAbout, bundlePaths } from './bundle.js';
import { DIGEST_LIST, DIGEST_LIST_SIGNATURE, digestsBelow, filesBelow, formatDigestList } from './digest-list.js';
import { proveBundle, readTrust, type Trust, verifyBundle } from './index.js';

/** An 8-32-32-2 network with random weights: no training is needed to mark and find it. */
function network(seed: number): Uint8Array {
  const random = seededRandom(seed, 'evidence test');
  const values = (n: number) => Float64Array.from({ length: n }, () => random.unit() - 0.5);
  const layer = (name: string, out: number, width: number) => [
    { name: `${name}.weight`, dtype: 'F32' as const, shape: [out, width], values: values(out * width) },
    { name: `${name}.bias`, dtype: 'F32' as const, shape: [out], values: values(out) },
  ];
  const gemm = (input: string, name: string, output: string) => ({
    op: 'Gemm',
    inputs: [input, `${name}.weight`, `${name}.bias`],
    outputs: [output],
    attributes: { transB: { int: 1 } },
  });
  return buildOnnx({
    graph: {
      name: 'net',
      inputs: [{ name: 'x', dtype: 'F32', shape: ['n', 8] }],
      outputs: [{ name: 'y', dtype: 'F32', shape: ['n', 2] }],
      nodes: [
        gemm('x', 'a', 'h1'),
        { op: 'Relu', inputs: ['h1'], outputs: ['r1'] },
        gemm('r1', 'b', 'h2'),
        { op: 'Relu', inputs: ['h2'], outputs: ['r2'] },
        gemm('r2', 'c', 'y'),
      ],
      initialisers: [...layer('a', 32, 8), ...layer('b', 32, 32), ...layer('c', 2, 32)],
    },
  });
}

const dir = mkdtempSync(path.join(os.tmpdir(), 'evidence-'));
const at = (name: string): string => path.join(dir, name);
let room: Room;
let authority: TestAuthority | null = null;
let trust: Trust;
let checkId = '';

before(async () => {
  authority = hasOpenssl ? await testAuthority() : null;
  room = await initRoom(at('.muniment'), {
    passphrase: 'test',
    owner: 'Example Works',
    vaultCost: 1024,
    ...(authority === null ? {} : { tsa: [{ url: authority.url, root: authority.root }] }),
  });
  writeFileSync(at('net.onnx'), network(1));
  await recordAsset(room, { kind: 'model', name: 'pump model' }, [at('net.onnx')]);
  for (const recipient of ['Northmill', 'Harbour Works']) {
    await release(releaseRoom(room), { model: 'pump model', recipient, out: at(`${recipient}.onnx`) });
  }
  const answer = await checkSuspect(releaseRoom(room), at('Harbour Works.onnx'), {
    keep: true,
    custody: { obtainedFrom: 'a test' },
  });
  assert.equal(answer.candidates[0]?.recipient, 'Harbour Works');
  checkId = answer.id;
  await proveBundle(room, { target: checkId, out: at('public') });
  await proveBundle(room, { target: checkId, out: at('expert'), expert: true });
  const log = readFileSync(path.join(room.dir, 'log', 'log.vkey'), 'utf8').trim();
  const keys = readdirSync(path.join(room.dir, 'log', 'keys'));
  const file = at('trust.json');
  writeFileSync(
    file,
    JSON.stringify({
      owners: [{ name: 'Example Works', key: readFileSync(path.join(room.dir, 'log', 'keys', keys[0]!), 'utf8') }],
      logs: [log],
      authorities: authority === null ? [] : [authority.root],
    }),
  );
  trust = await readTrust(file);
});

after(async () => {
  await authority?.close();
  rmSync(dir, { recursive: true });
});

const outcomes = (steps: readonly { step: string; outcome: string }[]) =>
  Object.fromEntries(steps.map((one) => [one.step, one.outcome]));

test('without a trust file a bundle is consistent, no more; with one it is verified', async () => {
  const alone = await verifyBundle(at('expert'));
  assert.equal(alone.result, 'consistent', JSON.stringify(alone.error));
  assert.match(alone.says, /identity and time self-asserted/);
  const trusted = await verifyBundle(at('expert'), trust, { suspect: at('Harbour Works.onnx') });
  assert.equal(trusted.result, 'verified', JSON.stringify(trusted.error));
  const time = authority === null ? 'unknown' : 'holds';
  assert.deepEqual(outcomes(trusted.steps), {
    files: 'holds',
    identity: 'holds',
    log: 'holds',
    time,
    'order of acts': authority === null ? 'unknown' : 'holds',
    multiplicity: 'holds',
    numbers: 'holds',
    suspect: 'holds',
    release: 'unknown',
    report: 'holds',
  });
  assert.deepEqual(
    trusted.lines.map((line) => [line.test, line.kind, line.log10p < -12]),
    [
      ['order', 'exact', true],
      ['mark', 'exact', true],
    ],
  );
});

test('in a public bundle the numbers are claimed, and nothing is opened', async () => {
  const report = await verifyBundle(at('public'), trust);
  assert.deepEqual([report.result, report.numbers], ['verified', 'claimed']);
  assert.deepEqual(
    (await filesBelow(at('public'))).filter((file) => file.startsWith('recompute/')),
    [],
  );
  const html = readFileSync(path.join(at('public'), 'report.html'), 'utf8');
  assert.match(html, /claimed/);
  assert.doesNotMatch(html, /<script|https?:\/\//);
});

test('a stranger’s key, log or authority in the trust file is not ours', async () => {
  const other = await initRoom(at('other/.muniment'), {
    passphrase: 'x',
    owner: 'Stranger',
    vaultCost: 1024,
    clock: fixedClock('2026-01-01T00:00:00Z'),
  });
  const keys = readdirSync(path.join(other.dir, 'log', 'keys'));
  const key = readFileSync(path.join(other.dir, 'log', 'keys', keys[0]!), 'utf8');
  const log = readFileSync(path.join(other.dir, 'log', 'log.vkey'), 'utf8').trim();
  const stranger = { name: 'Stranger', key, keyId: keys[0]!.slice(0, 64) };
  assert.equal((await verifyBundle(at('public'), { ...trust, owners: [stranger] })).error?.code, 'BUNDLE_SIGNATURE');
  assert.equal((await verifyBundle(at('public'), { ...trust, logs: [log] })).error?.code, 'NOTE_UNKNOWN_SIGNER');
  if (authority !== null) {
    const unknown = await testAuthority();
    assert.equal(
      (await verifyBundle(at('public'), { ...trust, authorities: [unknown.root] })).error?.code,
      'TIMESTAMP_CHAIN',
    );
    await unknown.close();
  }
});

test('a byte changed anywhere is refused, and so is a file added or taken away', async () => {
  const copy = at('mutant');
  const files = await filesBelow(at('expert'));
  const random = seededRandom(11, 'mutants');
  cpSync(at('expert'), copy, { recursive: true });
  for (let i = 0; i < 60; i++) {
    const file = path.join(copy, files[random.below(files.length)]!);
    const whole = readFileSync(file);
    if (whole.length === 0) continue;
    const changed = Buffer.from(whole);
    const place = random.below(whole.length);
    changed[place] = changed[place]! ^ (1 + random.below(255));
    writeFileSync(file, changed);
    assert.equal((await verifyBundle(copy)).result, 'bad', `${file} byte ${place}`);
    writeFileSync(file, whole);
  }
  writeFileSync(path.join(copy, 'extra.txt'), 'x');
  assert.equal((await verifyBundle(copy)).error?.code, 'BUNDLE_FILE_CHANGED');
  rmSync(path.join(copy, 'extra.txt'));
  rmSync(path.join(copy, bundlePaths.report));
  assert.equal((await verifyBundle(copy)).error?.code, 'BUNDLE_FILE_CHANGED');
  await assert.rejects(verifyBundle(dir), { code: 'BUNDLE_NOT_ONE', kind: 'input' });
});

/** The owner as the attacker: changes a file, and lists and signs the bundle anew. */
async function forged(change: (file: string) => void, file: string): Promise<string> {
  const copy = mkdtempSync(path.join(dir, 'forged-'));
  cpSync(at('expert'), copy, { recursive: true });
  change(path.join(copy, file));
  const list = utf8(formatDigestList(await digestsBelow(copy)));
  writeFileSync(path.join(copy, DIGEST_LIST), list);
  writeFileSync(path.join(copy, DIGEST_LIST_SIGNATURE), room.ledger.sign(list));
  return copy;
}

type Path = readonly (string | number)[];
const get = (value: unknown, path: Path): unknown =>
  path.reduce((at, key) => (at as Record<string | number, unknown>)[key], value);

/** Changes one place of a JSON file. */
const edit =
  (path: Path, change: (value: unknown) => unknown) =>
  (file: string): void => {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const holder = get(value, path.slice(0, -1)) as Record<string | number, unknown>;
    holder[path.at(-1)!] = change(get(value, path));
    writeFileSync(file, `${JSON.stringify(value)}\n`);
  };

const swapTwo = (list: unknown): unknown => {
  const [first, second, ...rest] = list as unknown[];
  return [second, first, ...rest];
};
/** Swaps the first two float64 values of a base64 text. */
function swapValues(text: unknown): unknown {
  const bytes = Buffer.from(String(text), 'base64');
  return Buffer.concat([bytes.subarray(8, 16), bytes.subarray(0, 8), bytes.subarray(16)]).toString('base64');
}
const without = (index: number) => (list: unknown) => (list as unknown[]).filter((_, i) => i !== index);

test('an owner who signs a changed bundle anew is caught by what was committed and by recomputation', async () => {
  const cases: readonly (readonly [string, string, Path, (value: unknown) => unknown])[] = [
    [bundlePaths.claims, 'BUNDLE_NUMBER', ['lines', 1, 'log10p'], (p) => Number(p) - 0.001],
    [bundlePaths.keys, 'MARK_SEED_COMMITMENT', ['seed'], () => '00'.repeat(32)],
    [bundlePaths.original, 'MARK_ROW_NOT_COMMITTED', ['tensors', 0, 'values'], swapValues],
    [bundlePaths.suspect, 'MARK_ROW_NOT_COMMITTED', ['tensors', 0, 'values'], swapValues],
    [bundlePaths.original, 'BUNDLE_ROWS', ['tensors'], without(0)],
    [bundlePaths.suspect, 'BUNDLE_ROWS', ['tensors'], without(0)],
    [bundlePaths.keys, 'BUNDLE_PAIRING', ['names', 'b.weight'], () => 'none'],
    [bundlePaths.keys, 'BUNDLE_PAIRING', ['names', 'b.bias'], () => 'a.bias'],
    [bundlePaths.about, 'BUNDLE_ABOUT', ['about', 'name'], () => 'another.onnx'],
    [bundlePaths.about, 'BUNDLE_ABOUT', ['about', 'id'], () => 'c-0000000000000000'],
    [bundlePaths.alignment, 'ALIGNMENT_NOT_OPTIMAL', ['steps', 0, 'assignment'], swapTwo],
    [bundlePaths.alignment, 'ALIGNMENT_STEPS', ['steps'], without(1)],
    [bundlePaths.alignment, 'BUNDLE_MALFORMED', ['steps'], () => 5],
    [bundlePaths.about, 'BUNDLE_REPORT', ['made'], () => '2020-01-01T00:00:00.000Z'],
    [bundlePaths.about, 'BUNDLE_LOG_INCOMPLETE', ['statements'], without(1)],
  ];
  for (const [file, code, place, change] of cases) {
    const report = await verifyBundle(await forged(edit(place, change), file), trust);
    assert.equal(report.error?.code, code, `${file}: ${report.says}`);
  }
});

test('no field of the statements that the numbers rest on is withheld', async () => {
  const { statements } = JSON.parse(readFileSync(path.join(at('expert'), bundlePaths.about), 'utf8')) as BundleAbout;
  for (const [kind, field] of [
    ['release-commitment', 'structure'],
    ['release', 'copy'],
    ['check', 'custody'],
  ] as const) {
    let hidden = 0;
    for (const sha256 of statements) {
      const file = bundlePaths.openings(sha256);
      const envelope = JSON.parse(readFileSync(path.join(at('expert'), bundlePaths.envelope(sha256)), 'utf8'));
      const payload = Buffer.from(envelope.payload, 'base64').toString();
      if (!payload.includes(`urn:muniment:${kind}:v1`) || !existsSync(path.join(at('expert'), file))) continue;
      const changed = await forged((name) => {
        const { [field]: _, ...rest } = JSON.parse(readFileSync(name, 'utf8'));
        writeFileSync(name, JSON.stringify(rest));
      }, file);
      assert.equal((await verifyBundle(changed, trust)).error?.code, 'BUNDLE_WITHHELD', kind);
      hidden++;
    }
    assert.equal(hidden, 1, kind);
  }
});

test('a stamp that the log holds cannot be left out', { skip: hasOpenssl ? false : 'no openssl' }, async () => {
  const report = await verifyBundle(await forged(edit(['tokens'], without(0)), bundlePaths.about), trust);
  assert.equal(report.error?.code, 'STAMP_LEFT_OUT', report.says);
});

test('a report that says something else than the bundle holds is refused', async () => {
  const change = (file: string): void =>
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('Harbour Works', 'Northmill'));
  assert.equal((await verifyBundle(await forged(change, bundlePaths.report), trust)).error?.code, 'BUNDLE_REPORT');
});

test('the opened rows are tied to the examined file, and to no other', async () => {
  assert.equal(outcomes((await verifyBundle(at('expert'), trust)).steps).suspect, 'unknown');
  const other = await verifyBundle(at('expert'), trust, { suspect: at('Northmill.onnx') });
  assert.equal(other.error?.code, 'SUSPECT_OTHER_FILE');
});

test('sha256sum and openssl alone accept the bundle, and refuse a changed one', {
  skip: hasOpenssl ? false : 'no openssl on this machine',
}, () => {
  const run = (folder: string) =>
    execFileSync('sh', ['verify.sh'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  assert.match(run(at('expert')), /all of it holds/);
  const copy = at('script');
  cpSync(at('public'), copy, { recursive: true });
  const file = path.join(copy, 'report.html');
  writeFileSync(file, readFileSync(file, 'utf8').replace('In short', 'In brief'));
  assert.throws(() => run(copy));
});

test('each expert bundle burns a batch; when all are spent, that is said', async () => {
  const about = (name: string) =>
    JSON.parse(readFileSync(path.join(at(name), bundlePaths.about), 'utf8')) as BundleAbout;
  assert.equal(about('expert').wholeLog, true);
  const second = await proveBundle(room, { target: checkId, out: at('second'), expert: true });
  assert.deepEqual(second.opened?.batches, [1]);
  await assert.rejects(proveBundle(room, { target: checkId, out: at('third'), expert: true }), {
    code: 'PROVE_BATCHES_SPENT',
  });
  assert.equal((await verifyBundle(at('second'), trust)).result, 'verified');
  await assert.rejects(proveBundle(room, { target: checkId, out: at('second') }), { code: 'PROVE_OUT_EXISTS' });
  await assert.rejects(proveBundle(room, { target: 'nothing', out: at('none') }), { code: 'PROVE_UNKNOWN' });
  await assert.rejects(proveBundle(room, { target: 'pump model', out: at('none'), expert: true }), {
    code: 'PROVE_EXPERT_NEEDS_CHECK',
  });
});

/** Kept for the end: it adds a release and a check to the room. */
test('a release made after a check is not counted there and is refused; its assumption is ours to word', async () => {
  const owner = releaseRoom(room);
  const boasting: typeof owner = {
    ...owner,
    ledger: {
      ...owner.ledger,
      append: (inputs) =>
        owner.ledger.append(
          inputs.map((one) =>
            one.kind === 'release' ? { ...one, predicate: { ...one.predicate, assumption: 'nothing at all' } } : one,
          ),
        ),
    },
  };
  const late = await release(boasting, { model: 'pump model', recipient: 'Late', out: at('Late.onnx') });
  await assert.rejects(proveBundle(room, { target: checkId, release: late.release, out: at('late'), expert: true }), {
    code: 'BUNDLE_UNCOUNTED',
  });
  const again = await checkSuspect(owner, at('Late.onnx'), { keep: true });
  await proveBundle(room, { target: again.id, release: late.release, out: at('late'), expert: true });
  const report = await verifyBundle(at('late'), trust, { suspect: at('Late.onnx') });
  assert.equal(report.result, 'verified', JSON.stringify(report.error));
  for (const line of report.lines) assert.match(line.assumption, /^SHA-256, HKDF and AES behave as random/);
});
