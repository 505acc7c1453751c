/** `npm run fuzz`: what a reader may do wrong is found, kept and made again, and the real ones do none of it. */
import assert from 'node:assert/strict';
import { execSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { runInThisContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { attempt } from '../benches/fuzz/attempt.js';
import { type Campaign, runCampaign } from '../benches/fuzz/campaign.js';
import { mutantOf } from '../benches/fuzz/mutant.js';
import { readerNames, readReader } from '../benches/fuzz/seeds.js';
import { faultOf, tableOf } from '../benches/fuzz/tally.js';
import { subjectDies, subjectIsSlow } from '../benches/fuzz/testing-subject.js';
import { type ByteSource, MunimentError } from '../src/base/index.js';
import { type Model, openModel } from '../src/formats/index.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'muniment-fuzz-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const nothing = { name: 'none', bytes: new Uint8Array(4), beside: new Map<string, Uint8Array>() };
const refusing =
  (work: () => unknown) =>
  async (source: string | ByteSource): Promise<Model> => {
    try {
      work();
    } catch {
      // Even so it is found out.
    }
    await (source as ByteSource).close();
    throw new MunimentError('input', 'SUBJECT_REFUSES', 'this is no model');
  };

test('an attempt to run, reach or open something is noticed, though the reader hides it', async () => {
  const attempts: readonly (readonly [string, () => unknown])[] = [
    ['child_process.execSync', () => execSync('true')],
    ['net.connect', () => connect(9, '127.0.0.1')],
    ['fs.readFileSync', () => readFileSync('/etc/hostname')],
    ['vm.runInThisContext', () => runInThisContext('1')],
    ['worker_threads.Worker', () => new Worker('1', { eval: true })],
    // biome-ignore lint/security/noGlobalEval: the point of the test
    ['eval', () => globalThis.eval('1')],
    ['fetch', () => fetch('http://127.0.0.1:9')],
  ];
  for (const [what, work] of attempts) {
    const { fault } = await attempt(refusing(work), nothing);
    assert.equal(fault?.what, 'execution', what);
    assert.ok(fault.detail.startsWith(what), fault.detail);
  }
  assert.deepEqual(
    await attempt(
      refusing(() => {}),
      nothing,
    ),
    { code: 'SUBJECT_REFUSES', fault: null },
  );
  assert.equal(execSync('echo so').toString(), 'so\n', 'beside attempts, nothing is stopped');
});

test('errors without a code, faults of ours and models that contradict themselves are faults', async () => {
  const throwing = (error: unknown) => async (): Promise<Model> => {
    throw error;
  };
  const uncoded = [new TypeError('of undefined'), 'text', new MunimentError('internal', 'INTERNAL', 'ours')];
  for (const error of [...uncoded, new MunimentError('input', 'lower case', 'x')]) {
    assert.equal((await attempt(throwing(error), nothing)).fault?.what, 'uncoded', String(error));
  }
  const tensor = { name: 'w', dtype: 'F32', shape: [2, 3], elements: 5, read: async () => new Float64Array(5) };
  const model = { tensors: new Map([['w', tensor]]), graph: null, close: async () => {} } as unknown as Model;
  assert.match((await attempt(async () => model, nothing)).fault?.detail ?? '', /^w: 5 elements in a shape of 2 × 3$/);
  const open = async (): Promise<Model> => {
    throw new MunimentError('input', 'SUBJECT_REFUSES', 'this is no model');
  };
  assert.equal((await attempt(open, nothing)).fault?.what, 'left open');
  const report = { step: 0, code: 'model', fault: null, milliseconds: 1, peakBytes: 1 };
  assert.equal(faultOf(report), null);
  assert.equal(faultOf({ ...report, milliseconds: 2001 })?.what, 'slow');
  assert.equal(faultOf({ ...report, peakBytes: 513 * 2 ** 20 })?.what, 'memory');
});

test('each reader of the manifest has mutants of many kinds, the same for the same step', async () => {
  for (const name of readerNames()) {
    const reader = readReader(name);
    const outcomes = new Set<string>();
    const kinds = new Set<string>();
    for (let step = 0; step < 16; step++) {
      const mutant = mutantOf(reader, 7, step);
      kinds.add(mutant.how.replace(/^.*: /, ''));
      if (mutant.bytes.length > 50_000) continue;
      const { code, fault } = await attempt(openModel, mutant);
      assert.equal(fault, null, `${name} ${step}: ${fault?.detail}`);
      outcomes.add(code);
    }
    assert.ok(kinds.size > 6, `${name}: ${[...kinds].join(', ')}`);
    assert.ok(outcomes.has('model') && outcomes.size > 1, `${name}: ${[...outcomes].join(', ')}`);
    assert.deepEqual(mutantOf(reader, 7, 3), mutantOf(reader, 7, 3));
    assert.notDeepEqual(mutantOf(reader, 7, 3), mutantOf(reader, 8, 3));
  }
});

const campaign = (more: Partial<Campaign>): Campaign => ({
  ...{ readers: ['gguf'], seed: 1, mutants: 60, jobs: 1, folder: path.join(folder, 'real'), progress: () => {} },
  ...more,
});

test('a campaign counts what came, and goes on where it was left', async () => {
  const first = await runCampaign(campaign({}));
  const tally = first.get('gguf')!;
  assert.deepEqual([tally.mutants, tally.findings.length], [60, 0]);
  const refused = Object.values(tally.codes).reduce((sum, count) => sum + count, 0);
  assert.equal(tally.models + refused, 60);
  assert.match(tableOf(first), /^gguf +60 +\d+ +\d+ ms +\d+ MB +0 +[A-Z]/m);
  assert.deepEqual(await runCampaign(campaign({})), first);
});

test('a process that dies and a mutant that takes too long are kept, and the rest is looked at', async () => {
  const reader = readReader('npy');
  const lengthOf = (step: number): number => mutantOf(reader, seed, step).bytes.length;
  // Slow first and dead last, so that no process need be started to go on.
  let seed = 1;
  while (
    !subjectIsSlow(lengthOf(0)) ||
    subjectDies(lengthOf(1)) ||
    subjectIsSlow(lengthOf(1)) ||
    !subjectDies(lengthOf(2))
  )
    seed++;
  const [slow, dies] = [0, 2];
  const subject = new URL('../benches/fuzz/testing-subject.ts', import.meta.url).href;
  const kept = path.join(folder, 'faulty');
  const found = await runCampaign(campaign({ readers: ['npy'], seed, mutants: 3, folder: kept, subject }));
  const { findings, mutants, codes } = found.get('npy')!;
  assert.equal(mutants, 3);
  assert.deepEqual(
    new Set(findings.map(({ step, what }) => `${step} ${what}`)),
    new Set([`${dies} crash`, `${slow} slow`]),
  );
  assert.equal(codes.SUBJECT_REFUSES, 2);
  const place = path.join(kept, readdirSync(kept).find((name) => name.endsWith('crash'))!);
  assert.match(readFileSync(path.join(place, 'finding.txt'), 'utf8'), new RegExp(`--seed ${seed} --step ${dies}\n`));
  const { name, bytes } = mutantOf(reader, seed, dies);
  assert.deepEqual(new Uint8Array(readFileSync(path.join(place, path.basename(name)))), new Uint8Array(bytes));
});
