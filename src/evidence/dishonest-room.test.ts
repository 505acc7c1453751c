/** An owner whose own statements lie: he holds every key, signs what he likes, and makes the bundle from it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { initialDense } from '../align/testing/dense.js';
import { type Json, seededRandom } from '../base/index.js';
import { checkSuspect } from '../detect/index.js';
import { roundAfter, verifyBeacon } from '../ledger/index.js';
import { hasOpenssl, type TestAuthority, testAuthority } from '../ledger/time/testing/authority.js';
import { testNetwork } from '../ledger/time/testing/network.js';
import {
  type BeaconRound,
  type BeaconSource,
  drandRecord,
  type ReleaseRoom,
  release,
  releaseRoom,
} from '../mark/index.js';
import { denseOnnx } from '../mark/testing/room.js';
import { recordAsset } from '../record/index.js';
import { initRoom, type Room, stampsOf } from '../room/index.js';
import { proveBundle, readTrust, verifyBundle } from './index.js';

const dir = mkdtempSync(path.join(os.tmpdir(), 'dishonest-'));
const network = testNetwork('a test network', Date.parse('2020-01-01T00:00:00Z') / 1000);
const roundOf = (round: number): Omit<BeaconRound, 'first'> => verifyBeacon(network.round(round), network.chain);
/** The first round after the stamp, and so many later. */
const waited =
  (rounds: number, first: (honest: number) => number): BeaconSource =>
  async (notBefore) => {
    const honest = roundAfter(notBefore, network.chain);
    return { ...roundOf(honest + rounds), first: first(honest) };
  };
const honestly = waited(0, (first) => first);

let authority: TestAuthority | null = null;
before(async () => {
  authority = hasOpenssl ? await testAuthority() : null;
});
after(async () => {
  await authority?.close();
  rmSync(dir, { recursive: true });
});

type Bend = (kind: string, predicate: Readonly<Record<string, Json>>) => Readonly<Record<string, Json>>;
interface Lies {
  readonly bend?: Bend;
  readonly beacon?: BeaconSource | null;
  readonly stamped?: boolean;
  readonly facts?: (room: Room, index: number) => ReturnType<ReleaseRoom['stampFacts']>;
  /** A release to A first, and a look before the one that counts. Of A's the power is to be shown, which takes a second. */
  readonly crowded?: boolean;
}

let rooms = 0;
/** A release and a look at it, told by the liar; then his bundle, as someone with a trust file sees it. */
async function verdict(lies: Lies) {
  const { bend = (_, predicate) => predicate, beacon = null, stamped = false, facts, crowded = false } = lies;
  const at = (name: string): string => path.join(dir, `${rooms}-${name}`);
  rooms++;
  const room = await initRoom(at('room'), {
    passphrase: 'test',
    owner: 'Example Works',
    vaultCost: 1024,
    ...(stamped ? { tsa: [{ url: authority!.url, root: authority!.root }] } : {}),
  });
  const honest = releaseRoom(room);
  const owner: ReleaseRoom = {
    ...honest,
    ...(facts === undefined ? {} : { stampFacts: (index) => facts(room, index) }),
    ledger: {
      ...honest.ledger,
      append: (inputs) =>
        honest.ledger.append(inputs.map((one) => ({ ...one, predicate: bend(one.kind, one.predicate) }))),
      exclusively: (work) =>
        honest.ledger.exclusively((append) =>
          work((inputs) => append(inputs.map((one) => ({ ...one, predicate: bend(one.kind, one.predicate) })))),
        ),
    },
  };
  writeFileSync(at('net.onnx'), denseOnnx(initialDense([8, 32, 16, 2], seededRandom(1))));
  await recordAsset(room, { kind: 'model', name: 'net' }, [at('net.onnx')]);
  if (crowded) await release(owner, { model: 'net', recipient: 'A', out: at('a.onnx') }, { beacon });
  await release(owner, { model: 'net', recipient: 'B', out: at('b.onnx') }, { beacon });
  if (crowded) await checkSuspect(owner, at('b.onnx'));
  const { id } = await checkSuspect(owner, at('b.onnx'), { keep: true });
  await proveBundle(room, { target: id, out: at('bundle'), expert: true });
  const [key] = readdirSync(path.join(room.dir, 'log', 'keys'));
  writeFileSync(
    at('trust.json'),
    JSON.stringify({
      owners: [{ name: 'Example Works', key: readFileSync(path.join(room.dir, 'log', 'keys', key!), 'utf8') }],
      logs: [readFileSync(path.join(room.dir, 'log', 'log.vkey'), 'utf8').trim()],
      authorities: stamped ? [authority!.root] : [],
      beacons: [network.chain],
    }),
  );
  const report = await verifyBundle(at('bundle'), await readTrust(at('trust.json')), { suspect: at('b.onnx') });
  return { report, order: report.steps.find((one) => one.step === 'order of acts') };
}

const skip = hasOpenssl ? false : 'no openssl on this machine';
const lie =
  (of: string, change: Readonly<Record<string, Json>>): Bend =>
  (kind, predicate) =>
    kind === of ? { ...predicate, ...change } : predicate;

test('fewer releases, or an earlier look, than the log holds', async () => {
  for (const [change, crowded] of [
    [{ chances: 1 }, true],
    [{ chances: 0 }, false],
    [{ look: 1 }, true],
  ] as const) {
    const { report } = await verdict({ bend: lie('check', change), crowded });
    assert.equal(report.error?.code, 'BUNDLE_MULTIPLICITY', JSON.stringify(change));
  }
});

test('a verdict that the opened batch does not bear out is said to be the owner’s word', async () => {
  const bend: Bend = (kind, predicate) => {
    if (kind !== 'check') return predicate;
    const [best, ...rest] = predicate.candidates as Record<string, Json>[];
    const other = rest.find((one) => one.recipient === 'A')!;
    return { ...predicate, candidates: [{ ...best!, release: other.release!, recipient: 'A' }, ...rest] };
  };
  const { report } = await verdict({ bend, crowded: true });
  const numbers = report.steps.find((one) => one.step === 'numbers');
  assert.equal(numbers?.outcome, 'unknown', JSON.stringify(report.error));
  assert.match(numbers.says, /claims related .* does not bear out/);
});

test('a plan that is not the one of its digest', async () => {
  const bent = (change: (plan: Record<string, Json>) => Json): Bend => {
    return (kind, predicate) =>
      kind === 'release-commitment'
        ? { ...predicate, plan: change(predicate.plan as Record<string, Json>) }
        : predicate;
  };
  const { report } = await verdict({ bend: bent((plan) => ({ ...plan, strength: 0.01 })) });
  assert.equal(report.error?.code, 'BUNDLE_PLAN');
});

test('a round that no stamp puts after the commitment shows no order, and the line says so', async () => {
  const { report, order } = await verdict({ beacon: honestly });
  assert.equal(report.result, 'verified', JSON.stringify(report.error));
  assert.equal(order?.outcome, 'unknown');
  assert.match(order.says, /no outside stamp/);
  for (const { assumption } of report.lines) assert.match(assumption, /only the clock of the owner/);
});

test('stamped and bound to the next round, the order holds', { skip }, async () => {
  const { report, order } = await verdict({ beacon: honestly, stamped: true });
  assert.equal(report.result, 'verified', JSON.stringify(report.error));
  assert.equal(order?.outcome, 'holds');
});

test('later rounds waited for and not counted, earlier rounds, other values', { skip }, async () => {
  const uncounted = await verdict({ beacon: waited(5, (first) => first + 5), stamped: true });
  assert.equal(uncounted.report.error?.code, 'ORDER_OF_ACTS');
  assert.match(uncounted.report.says, /waited for more beacon rounds/);
  const counted = await verdict({ beacon: waited(5, (first) => first), stamped: true });
  assert.equal(counted.order?.outcome, 'holds');
  const bends: readonly (readonly [RegExp, (beacon: Record<string, Json>) => object])[] = [
    [/another value/, (beacon) => ({ ...beacon, value: '00'.repeat(32) })],
    [
      /before the commitment was stamped/,
      ({ round }) => drandRecord({ ...roundOf(Number(round) - 9), first: 1 }, true),
    ],
  ];
  for (const [says, change] of bends) {
    const bend: Bend = (kind, predicate) =>
      kind === 'release'
        ? { ...predicate, beacon: change(predicate.beacon as Record<string, Json>) as Record<string, Json> }
        : predicate;
    const { report } = await verdict({ beacon: honestly, stamped: true, bend });
    assert.equal(report.error?.code, 'ORDER_OF_ACTS', report.says);
    assert.match(report.says, says);
  }
});

test('a token chosen among several in the log: said, and the order does not hold', { skip }, async () => {
  const facts = async (room: Room, index: number) => {
    for (let asked = 0; asked < 3; asked++) await room.stamp();
    const statements = [];
    for await (const one of room.ledger.statements()) statements.push(one);
    return stampsOf(statements)
      .filter(({ size }) => size > index)
      .slice(-1)
      .map(({ authority: by, time, token }) => ({ authority: by, time, token }));
  };
  const { report, order } = await verdict({ stamped: true, facts });
  assert.equal(report.result, 'verified', JSON.stringify(report.error));
  assert.equal(order?.outcome, 'unknown');
  assert.match(order.says, /that was not corrected for/);
  const first = await verdict({ stamped: true });
  assert.equal(first.order?.outcome, 'holds');
});
