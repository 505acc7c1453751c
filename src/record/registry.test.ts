import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../base/index.js';
import { registryOf, type StatementView } from './registry.js';

const digest = (n: number): string => n.toString(16).padStart(64, '0');
let next = 0;
const state = (kind: string, predicate: Record<string, Json>, subject = digest(1)): StatementView => {
  const index = next++;
  return {
    index,
    sha256: digest(1000 + index),
    kind,
    predicate,
    time: '2026-03-01T00:00:00Z',
    subjects: [{ name: 's', sha256: subject }],
  };
};

test('a correction replaces what it names; the first statement still dates the asset', () => {
  const first = state('model', { name: 'a', keep: 'full' });
  const second = state('model', { name: 'b', keep: 'none', supersedes: first.sha256 });
  const { assets, models, byName, byDigest } = registryOf([second, first]);
  assert.equal(assets.length, 1);
  assert.equal(models[0]!.name, 'b');
  assert.equal(models[0]!.keep, 'none');
  assert.equal(models[0]!.first, first);
  assert.deepEqual(models[0]!.history, [first, second]);
  assert.equal(byName('a').length, 0);
  assert.equal(byDigest(first.sha256)[0], models[0]);
});

test('a withdrawal takes back an asset, or a correction of it', () => {
  const first = state('code', { name: 'a' });
  const second = state('code', { name: 'b', supersedes: first.sha256 });
  const undo = state('withdrawal', { withdraws: second.sha256, reason: 'r' });
  assert.equal(registryOf([first, second, undo]).assets[0]!.name, 'a');
  const gone = state('withdrawal', { withdraws: first.sha256, reason: 'r' });
  const after = registryOf([first, second, undo, gone]);
  assert.equal(after.assets.length, 0);
  assert.equal(after.withdrawn.length, 1);
  assert.deepEqual(after.others, [undo, gone]);
});

test('releases, commitments and checks are counted even when withdrawn', () => {
  const release = state('release', { recipient: 'A' });
  const withdrawal = state('withdrawal', { withdraws: release.sha256, reason: 'r' });
  const { releases, commitments, checks } = registryOf([
    state('release-commitment', {}),
    release,
    state('check', {}),
    state('check', {}),
    withdrawal,
  ]);
  assert.deepEqual([commitments.length, releases.length, checks.length], [1, 1, 2]);
});

test('a correction of another kind, of something unknown, or by erased fields stands for itself', () => {
  const first = state('model', { name: 'a' });
  const { assets } = registryOf([
    first,
    state('code', { name: 'b', supersedes: first.sha256 }),
    state('model', { name: 'c', supersedes: digest(7) }),
    state('model', {}),
  ]);
  assert.deepEqual(
    assets.map((asset) => asset.name),
    ['a', 'b', 'c', 's'],
  );
});

test('a file of a folder leads to its asset', () => {
  const one = state('training-set', {
    name: 'd',
    content: { method: 'manifest', files: 1, bytes: 1, manifest: [{ path: 'x', sha256: digest(9), bytes: 1 }] },
  });
  assert.equal(registryOf([one]).byDigest(digest(9))[0]!.name, 'd');
});

test('every statement is in exactly one place, whatever their order', () => {
  const kinds = fc.constantFrom('model', 'code', 'release', 'check', 'release-commitment', 'withdrawal', 'room');
  fc.assert(
    fc.property(fc.array(fc.tuple(kinds, fc.nat(12)), { maxLength: 12 }), (plan) => {
      const all = plan.map(([kind, to], index) => ({
        ...state(kind, { supersedes: digest(5000 + to), withdraws: digest(5000 + to) }),
        index,
        sha256: digest(5000 + index),
      }));
      const registry = registryOf([...all].reverse());
      const seen = [
        ...[...registry.assets, ...registry.withdrawn].flatMap((asset) => asset.history),
        ...registry.commitments,
        ...registry.releases,
        ...registry.checks,
        ...registry.others,
      ];
      assert.deepEqual(
        seen.map((one) => one.index).sort((a, b) => a - b),
        all.map((one) => one.index),
      );
    }),
  );
});
