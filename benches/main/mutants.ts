/** Single bytes changed anywhere in an evidence bundle: `verify` must refuse every one, with and without a trust file. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { seededRandom } from '../../src/base/index.js';
import { checkSuspect } from '../../src/detect/index.js';
import { proveBundle, readTrust, type Trust, verifyBundle } from '../../src/evidence/index.js';
import { ledgerPaths } from '../../src/ledger/index.js';
import { release, releaseRoom } from '../../src/mark/index.js';
import { recordAssets } from '../../src/record/index.js';
import { initRoom } from '../../src/room/index.js';
import { disguise, netOf, OWNER_SEED, parametersIn, prune, quantise, train, writeWith } from './nets.js';
import { countFigure, type Figures, type Workplace } from './section.js';

/** @param mutants split evenly over a public and an expert bundle, and over verifying with and without trust */
export async function bundleMutants({ folder, seed, say }: Workplace, mutants: number): Promise<Figures> {
  const { bundles, trust } = await makeBundles(folder, seed);
  const random = seededRandom(seed, 'mutants');
  let accepted = 0;
  for (const [index, dir] of bundles.entries()) {
    await mustHold(dir, trust);
    const files = await filesOf(dir);
    const total = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const share = Math.ceil(mutants / bundles.length);
    for (let k = 0; k < share; k++) {
      // By turns any byte of the bundle, and any file of it: most bytes lie in few files.
      const { file, at } = k % 2 === 0 ? byteAt(files, random.below(total)) : anyFile(files, random);
      const changed = Uint8Array.from(file.bytes);
      changed[at] = changed[at]! ^ (1 + random.below(255));
      await writeFile(file.path, changed);
      const { result } = await verifyBundle(dir, k % 4 < 2 ? trust : null);
      await writeFile(file.path, file.bytes);
      if (result === 'bad') continue;
      accepted++;
      say(`WRONG ${path.relative(dir, file.path)}, byte ${at} from ${file.bytes[at]} to ${changed[at]}: ${result}`);
    }
    await mustHold(dir, trust);
    say(`${index === 0 ? 'public' : 'expert'} bundle: ${files.length} files, ${total} bytes, ${share} changes`);
  }
  return { bundle_mutants_accepted: countFigure(accepted, bundles.length * Math.ceil(mutants / bundles.length)) };
}

/** Unchanged, the bundle verifies: else every change would seem to be refused. */
async function mustHold(dir: string, trust: Trust): Promise<void> {
  for (const [given, expected] of [
    [trust, 'verified'],
    [null, 'consistent'],
  ] as const) {
    const { result, says, error } = await verifyBundle(dir, given);
    if (result !== expected) throw new Error(`the unchanged bundle is ${result}: ${says} ${JSON.stringify(error)}`);
  }
}

interface BundleFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

async function filesOf(dir: string): Promise<readonly BundleFile[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const files = await Promise.all(names.sort().map(async (name) => ({ path: name, bytes: await readFile(name) })));
  return files.filter(({ bytes }) => bytes.length > 0);
}

function byteAt(files: readonly BundleFile[], position: number): { file: BundleFile; at: number } {
  let at = position;
  for (const file of files) {
    if (at < file.bytes.length) return { file, at };
    at -= file.bytes.length;
  }
  throw new RangeError(`no byte ${position}`);
}

function anyFile(files: readonly BundleFile[], random: { below(n: number): number }): { file: BundleFile; at: number } {
  const file = files[random.below(files.length)]!;
  return { file, at: random.below(file.bytes.length) };
}

async function makeBundles(folder: string, seed: number): Promise<{ bundles: readonly string[]; trust: Trust }> {
  const net = netOf();
  const at = (name: string): string => path.join(folder, name);
  // scrypt's cost guards a passphrase, and there is nothing to guard here.
  const room = await initRoom(at('room'), { owner: 'the bench', passphrase: 'bench', vaultCost: 1024 });
  const parts = releaseRoom(room);
  const own = at('own.onnx');
  await writeFile(own, (await train(net, OWNER_SEED + seed)).model);
  await recordAssets(parts, [{ kind: 'model', paths: [own], facts: { name: 'net' }, keep: 'full' }]);
  const copy = at('copy.onnx');
  await release(parts, { model: own, recipient: 'first', out: copy });
  const moved = disguise(net, await parametersIn(copy, net), seededRandom(seed, 'mutants: disguise'));
  await writeWith(copy, net, quantise(net, prune(net, moved, 0.5), 4), at('thief.onnx'));
  const { id } = await checkSuspect(parts, at('thief.onnx'), { keep: true });
  const bundles = [at('public'), at('expert')];
  await proveBundle(room, { target: id, out: bundles[0]! });
  await proveBundle(room, { target: id, out: bundles[1]!, expert: true });
  return { bundles, trust: await trustIn(room.dir, at('trust.json')) };
}

/** The room's own keys, as a court would have them from the owner by another way. */
async function trustIn(dir: string, file: string): Promise<Trust> {
  const log = (await readFile(ledgerPaths.logKey(dir), 'utf8')).trim();
  const keys = path.dirname(ledgerPaths.statementKey(dir, 'any'));
  const owners = await Promise.all(
    (await readdir(keys)).map(async (name) => ({
      name: 'the bench',
      key: await readFile(path.join(keys, name), 'utf8'),
    })),
  );
  await writeFile(file, JSON.stringify({ owners, logs: [log], authorities: [], beacons: [] }));
  return readTrust(file);
}
