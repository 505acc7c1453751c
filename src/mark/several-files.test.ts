/** Models in several files: shards, and ONNX with external data, released and made again from their bytes alone. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { initialDense } from '../align/testing/dense.js';
import { seededRandom, sha256Hex } from '../base/index.js';
import { collect, recordAssets } from '../record/index.js';
import {
  commitmentsOf,
  getSecrets,
  planDigest,
  type ReleasePlan,
  recomputeRelease,
  release,
  releasesOf,
  resumeRelease,
} from './index.js';
import { denseExternal, denseOnnx, denseShards, type TestRoom, testRoom } from './testing/room.js';

const rooms: TestRoom[] = [];
after(async () => {
  for (const room of rooms) await rm(room.dir, { recursive: true, force: true });
});
const net = initialDense([8, 16, 16, 2], seededRandom(1));

const filesBelow = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();

async function flipByte(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at] = bytes[at]! ^ 1;
  await writeFile(file, bytes);
}

const forms = [
  {
    form: 'sharded safetensors',
    make: denseShards,
    structure: { plainStack: true },
    main: 'model.safetensors.index.json',
    part: 'model-00002-of-00003.safetensors',
  },
  { form: 'ONNX with external data', make: denseExternal, structure: {}, main: 'net.onnx', part: 'weights/fc1.bin' },
] as const;

for (const { form, make, structure, main, part } of forms) {
  test(`${form}: released into a folder of its own, and recomputed bit for bit from the original's files`, async () => {
    const room = await testRoom();
    rooms.push(room);
    const model = await make(net, path.join(room.dir, 'original'));
    const original = path.join(room.dir, 'original');
    const before = await Promise.all((await filesBelow(original)).map((name) => readFile(path.join(original, name))));
    await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
    const out = path.join(room.dir, 'copy');
    const made = await release(room, { model, recipient: 'acme', out, ...structure });

    assert.equal(made.out, path.join(out, main));
    assert.equal(made.units, 32);
    assert.deepEqual(await filesBelow(out), await filesBelow(original));
    const statements = await collect(room.ledger.statements());
    const [commitment, fact] = [commitmentsOf(statements)[0]!, releasesOf(statements)[0]!];
    assert.deepEqual(fact.files.map((file) => file.name).sort(), await filesBelow(out));
    for (const file of fact.files) assert.equal(sha256Hex(await readFile(path.join(out, file.name))), file.sha256);
    assert.notDeepEqual(await readFile(path.join(out, part)), await readFile(path.join(original, part)));
    const now = await Promise.all((await filesBelow(original)).map((name) => readFile(path.join(original, name))));
    assert.deepEqual(now, before, 'the original is as it was');

    const opened = await getSecrets(room.vault, made.release);
    const elsewhere = path.join(room.dir, 'elsewhere');
    await cp(original, elsewhere, { recursive: true });
    const labels = new Set<string>();
    const progress = (label: string) => ({ update: () => void labels.add(label) });
    const again = await recomputeRelease(commitment, fact, { original: elsewhere, opened, progress });
    assert.deepEqual(again.files, fact.files);
    assert.deepEqual(
      [...labels],
      [
        'hashing the original',
        'reading the original',
        'making the release again',
        'hashing the release',
        'reading the release back',
      ],
    );

    await flipByte(path.join(elsewhere, part), 200);
    await assert.rejects(recomputeRelease(commitment, fact, { original: elsewhere, opened }), {
      code: 'MARK_ORIGINAL_FILE',
      kind: 'evidence',
    });
    await rm(path.join(elsewhere, part));
    await assert.rejects(recomputeRelease(commitment, fact, { original: elsewhere, opened }), {
      code: 'MARK_ORIGINAL_FILE',
    });
  });

  test(`${form}: a copy beside the original is refused before anything is committed, not written over its parts`, async () => {
    const room = await testRoom();
    rooms.push(room);
    const model = await make(net, path.join(room.dir, 'original'));
    const original = path.join(room.dir, 'original');
    await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
    const statements = (await collect(room.ledger.statements())).length;
    const before = await readFile(path.join(original, part));
    const out = path.join(original, `acme.${main.slice(main.indexOf('.') + 1)}`);
    await assert.rejects(release(room, { model, recipient: 'acme', out, ...structure }), { code: 'MARK_OUT_EXISTS' });
    assert.deepEqual(await readFile(path.join(original, part)), before);
    assert.equal((await collect(room.ledger.statements())).length, statements);
    const named = path.join(room.dir, 'apart', path.basename(out));
    const made = await release(room, { model: 'net', recipient: 'acme', out: named, ...structure });
    assert.equal(made.out, named);
    assert.ok((await filesBelow(path.dirname(named))).includes(part));
  });
}

test('killed between statement and files: --resume writes every part again', async () => {
  const room = await testRoom();
  rooms.push(room);
  const model = await denseShards(net, path.join(room.dir, 'original'));
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
  const out = path.join(room.dir, 'copy');
  const killed = (act: string): void => {
    if (act === 'recorded') throw new Error('killed');
  };
  const request = { model, recipient: 'acme', out, plainStack: true };
  await assert.rejects(release(room, request, { after: killed }), /killed/);
  assert.deepEqual((await readdir(room.dir)).sort(), ['.muniment', 'original']);
  const [fact] = releasesOf(await collect(room.ledger.statements()));
  await resumeRelease(room, fact!.release, out);
  for (const file of fact!.files) assert.equal(sha256Hex(await readFile(path.join(out, file.name))), file.sha256);
});

test('a release by the graph of another file: recomputed with that file, refused with another or none', async () => {
  const room = await testRoom();
  rooms.push(room);
  const model = await denseShards(net, path.join(room.dir, 'original'));
  const graph = path.join(room.dir, 'graph.onnx');
  await writeFile(graph, denseOnnx(net));
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
  const made = await release(room, { model, recipient: 'acme', out: path.join(room.dir, 'copy'), graph });
  const statements = await collect(room.ledger.statements());
  const [commitment, fact] = [commitmentsOf(statements)[0]!, releasesOf(statements)[0]!];
  const input = { original: model, opened: await getSecrets(room.vault, made.release) };
  assert.deepEqual((await recomputeRelease(commitment, fact, { ...input, graph })).files, fact.files);
  await assert.rejects(recomputeRelease(commitment, fact, input), { code: 'MARK_GRAPH_NEEDED', kind: 'usage' });
  const other = path.join(room.dir, 'other.onnx');
  await writeFile(other, denseOnnx(initialDense([8, 16, 16, 2], seededRandom(2))));
  await assert.rejects(recomputeRelease(commitment, fact, { ...input, graph: other }), { code: 'MARK_GRAPH_FILE' });
});

test('what an owner could make up afterwards is refused', async () => {
  const room = await testRoom();
  rooms.push(room);
  const model = path.join(room.dir, 'net.onnx');
  await writeFile(model, denseOnnx(net));
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
  const made = await release(room, { model, recipient: 'acme', out: path.join(room.dir, 'copy.onnx') });
  const statements = await collect(room.ledger.statements());
  const [commitment, fact] = [commitmentsOf(statements)[0]!, releasesOf(statements)[0]!];
  const opened = await getSecrets(room.vault, made.release);
  const input = { original: model, opened };
  await mkdir(path.join(room.dir, 'moved'));
  await rename(model, path.join(room.dir, 'moved/renamed.onnx'));
  const renamed = { ...input, original: path.join(room.dir, 'moved/renamed.onnx') };
  assert.deepEqual((await recomputeRelease(commitment, fact, renamed)).files, fact.files);

  const copy = path.join(room.dir, 'copy.onnx');
  // w0 := w − αs∘c, made up from what was released: the file that it names is not the one that was committed to.
  const late = { ...commitment, model: { name: 'net', sha256: made.sha256 } };
  await assert.rejects(recomputeRelease(late, fact, { ...input, original: copy }), {
    code: 'MARK_ORIGINAL_COMMITMENT',
  });
  await assert.rejects(
    recomputeRelease(commitment, { ...fact, beacon: { ...fact.beacon, value: '11'.repeat(32) } }, renamed),
    {
      code: 'MARK_COPY_DIFFERS',
    },
  );
  await assert.rejects(
    recomputeRelease(commitment, fact, { ...renamed, opened: { ...opened, seeds: opened.seeds.slice(1) } }),
    {
      code: 'MARK_SEEDS_MISSING',
    },
  );
  const plan = { ...commitment, plan: { ...commitment.plan, strength: 0.06 } };
  await assert.rejects(recomputeRelease(plan, fact, renamed), { code: 'MARK_PLAN_COMMITMENT' });
  await assert.rejects(
    recomputeRelease(commitment, fact, { ...renamed, opened: { ...opened, copySalt: opened.originalSalt } }),
    {
      code: 'MARK_COPY_COMMITMENT',
    },
  );
  const more = { ...fact, files: [...fact.files, { ...fact.files[0]!, name: '../../etc/passwd' }] };
  await assert.rejects(recomputeRelease(commitment, more, renamed), { code: 'MARK_COPY_DIFFERS' });
});

test('a plan that asks for more than the original has is refused before anything is derived', async () => {
  const room = await testRoom();
  rooms.push(room);
  const model = path.join(room.dir, 'net.onnx');
  await writeFile(model, denseOnnx(net));
  await recordAssets(room, [{ kind: 'model', paths: [model], facts: { name: 'net' }, keep: 'full' }]);
  const made = await release(room, { model, recipient: 'acme', out: path.join(room.dir, 'copy.onnx') });
  const statements = await collect(room.ledger.statements());
  const [commitment, fact] = [commitmentsOf(statements)[0]!, releasesOf(statements)[0]!];
  const opened = await getSecrets(room.vault, made.release);
  const { plan } = commitment;
  const [marked, group] = [plan.marked[0]!, plan.groups[0]!];
  const [segment] = group.segments;
  const huge = 2 ** 40;
  const plans: readonly Partial<ReleasePlan>[] = [
    { marked: [{ ...marked, rows: huge }] },
    { marked: [{ ...marked, width: huge }] },
    { marked: [{ ...marked, tensor: 'none' }] },
    { groups: [{ ...group, size: huge }] },
    { groups: [{ ...group, segments: [] }] },
    { groups: [{ ...group, segments: [{ ...segment!, repeat: huge }] }] },
    { groups: [{ ...group, segments: [{ ...segment!, start: 1 }] }] },
    { groups: [{ ...group, segments: [{ ...segment!, tensor: 'none' }] }] },
  ];
  for (const change of plans) {
    const other = { ...plan, ...change };
    const dishonest = { ...commitment, plan: other, planDigest: planDigest(other) };
    await assert.rejects(recomputeRelease(dishonest, fact, { original: model, opened }), { code: 'MARK_PLAN_MISFIT' });
  }
});
