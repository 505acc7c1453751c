/** The demo, whole: the thief's copy is named, the competitor is not, and the evidence verifies. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { muniment } from '../src/cli/testing/io.js';

test('the demo names the copy, clears the competitor and proves it', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-demo-'));
  try {
    const out = path.join(folder, 'journey');
    const { code, stdout, stderr } = await muniment(['demo', '--out', out, '--json'], { cwd: folder });
    assert.equal(code, 0, stderr);
    const story = JSON.parse(stdout) as {
      thief: { verdict: string; recipient: string; kind: string; log10p: number; tweaks: string[] };
      competitor: { verdict: string };
      verified: Record<string, string>;
      parameters: number;
      releases: { agreement: number }[];
      f1: Record<string, number>;
      rights: {
        fleetDatabaseRight: { answer: string; decides: string[] };
        raised: { asset: string; right: string; to: string; places: string[] }[];
      };
      recomputed: { test: string; log10p: number }[];
      seconds: number;
    };
    assert.deepEqual(
      [story.thief.verdict, story.thief.recipient, story.thief.kind],
      ['related', 'Harbour Works', 'exact'],
    );
    assert.ok(story.thief.log10p <= -12 && story.parameters >= 5000, `log10 p ${story.thief.log10p}`);
    assert.ok(story.releases.every(({ agreement }) => agreement > 0.9 && agreement <= 1));
    // The copy is worth something: always saying "no failure" has F1 0.
    assert.ok(story.f1.suspect! > 0.2 && story.f1.original! > 0.5, JSON.stringify(story.f1));
    assert.ok(story.recomputed.some(({ test, log10p }) => test === 'mark' && log10p < -4));
    assert.ok(story.thief.tweaks.includes('permuted') && story.thief.tweaks.includes('quantised'));
    assert.notEqual(story.competitor.verdict, 'related');
    assert.deepEqual(story.verified, {
      publicAlone: 'consistent',
      publicTrusted: 'verified',
      alone: 'consistent',
      trusted: 'verified',
      tampered: 'bad',
    });
    const { rights } = story;
    assert.deepEqual(rights.fleetDatabaseRight, { answer: 'no', decides: ['not-connected-product'] });
    const secret = rights.raised.find((one) => one.asset === 'pump.onnx' && one.right === 'trade-secret');
    assert.ok(secret !== undefined && ['likely', 'yes'].includes(secret.to) && secret.places.includes('EU'));
    assert.match(stderr, /demo’s clock, not evidence/);
    // A second run replaces the first; a folder of someone else's is left alone.
    await writeFile(path.join(folder, 'mine.txt'), 'x');
    assert.equal((await muniment(['demo', '--out', folder], { cwd: folder })).code, 2);
  } finally {
    await rm(folder, { recursive: true });
  }
});
