import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUICKNET, roundAfter, timeOfRound, verifyBeacon } from './beacon.js';

/** Round 1000 of quicknet. It vouches for itself: no other bytes verify under the network's key. */
const ROUND = {
  round: 1000,
  randomness: 'fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd',
  signature: 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39',
};

test('a published round verifies, and gives its time', () => {
  const round = verifyBeacon(ROUND);
  assert.equal(round.randomness, ROUND.randomness);
  assert.equal(round.time.getTime(), (1692803367 + 999 * 3) * 1000);
});

test('another round number, another value, another key or a broken point is refused', () => {
  const flipped = `${ROUND.signature.slice(0, -1)}8`;
  for (const bad of [
    { ...ROUND, round: 1001 },
    { ...ROUND, randomness: '00'.repeat(32) },
    { ...ROUND, signature: flipped },
  ]) {
    assert.throws(() => verifyBeacon(bad), { code: 'BEACON_SIGNATURE' });
  }
  const other = { ...QUICKNET, publicKey: `${QUICKNET.publicKey.slice(0, -2)}00` };
  assert.throws(() => verifyBeacon(ROUND, other), { code: 'BEACON_SIGNATURE' });
  for (const bad of [
    null,
    [],
    {},
    { round: 1 },
    { ...ROUND, round: 1.5 },
    { ...ROUND, signature: 'xx' },
    { ...ROUND, randomness: 'xx' },
    { ...ROUND, randomness: 7 },
  ]) {
    assert.throws(() => verifyBeacon(bad), { code: 'BEACON_MALFORMED' });
  }
});

test('the first round after a moment lies after it, by at most one period', () => {
  for (const offset of [-1000, 0, 1, 2999, 3000, 3001, 1e9]) {
    const time = new Date(QUICKNET.genesis * 1000 + offset);
    const published = timeOfRound(roundAfter(time)).getTime();
    assert.ok(published > time.getTime() && published - time.getTime() <= (offset < 0 ? 4000 : 3000));
  }
});
