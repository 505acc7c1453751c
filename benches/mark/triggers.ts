/** Triggers: how many queries tell a marked model after a thief's tweaks, and what embedding costs. */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { randomPermutation, seededRandom, sha256, sha256Hex, utf8 } from '../../src/base/index.js';
import { planNet } from '../../src/compute/index.js';
import { offsetTest, triggerTest } from '../../src/detect/index.js';
import { openModel } from '../../src/formats/index.js';
import {
  type Embedded,
  embedTriggers,
  type OpenedKeys,
  planTriggers,
  type TriggerPlan,
  triggersOf,
  triggerTable,
} from '../../src/mark/index.js';
import { log10BinomialTail } from '../../src/stats/index.js';
import {
  encodeRows,
  exportModel,
  fitNet,
  type ModelCard,
  parseCsv,
  predictTable,
  rawRows,
  readCard,
  readTable,
  type Table,
  tableCsv,
  tableFromRows,
  textAt,
  trainModel,
} from '../../src/train/index.js';
import { dataFolder, type Figure, meanFigure } from '../harness.js';
import { gaussian, prune, quantise } from '../main/nets.js';
import type { Figures, Workplace } from '../main/section.js';

const LEVEL = -9;
const TRIGGERS = 120;

const keysOf = (plan: TriggerPlan, label: string): OpenedKeys => ({
  release: label,
  original: sha256Hex(utf8('original')),
  beacon: sha256Hex(utf8('beacon')),
  seeds: new Map(Array.from({ length: plan.batches }, (_, b) => [b, sha256(utf8(`${label} batch ${b}`))])),
});

/** Ten classes by the largest of ten fixed random projections. */
function tenClasses(count: number, draw: string): Table {
  const teacher = seededRandom(1, 'ten classes');
  const sides = Array.from({ length: 10 }, () => Float64Array.from({ length: 16 }, () => gaussian(teacher)));
  const random = seededRandom(1, draw);
  const rows = Array.from({ length: count }, () => {
    const x = Array.from({ length: 16 }, () => Number(gaussian(random).toFixed(3)));
    const scores = sides.map((w) => w.reduce((sum, v, k) => sum + v * x[k]!, 0));
    return [...x.map(String), `class ${scores.indexOf(Math.max(...scores))}`];
  });
  return tableFromRows('ten classes', [...Array.from({ length: 16 }, (_, k) => `x${k + 1}`), 'class'], rows);
}

/** Some rows of a table as one of their own. */
const part = (table: Table, rows: Uint32Array): Table => parseCsv(tableCsv(table, rows), table.name);

/** Queries in their committed order, as few as give log10 p ≤ −9 at the share of hits that all of them show. */
function queriesFor(hits: number, n: number, classes: number): number {
  for (let few = 1; few <= 100_000; few++) {
    if (log10BinomialTail(Math.ceil((hits / n) * few - 1e-9), few, 1 / classes) <= LEVEL) return few;
  }
  return 100_000;
}

/** The answers of a model to the triggers, by index. */
async function answersTo(
  file: string,
  plan: TriggerPlan,
  keys: OpenedKeys,
): Promise<ReadonlyMap<number, string | number>> {
  const { rows, header } = await predictTable(file, triggerTable(plan, keys));
  const at = header.indexOf(plan.target);
  const asked = triggersOf(plan, keys);
  return new Map(rows.map((row, k) => [asked[k]!.index, row[at] ?? '']));
}

type Tweak = (card: ModelCard, flat: Float32Array) => Promise<Float32Array>;

export async function triggers(place: Workplace, runs: number): Promise<Figures> {
  const out: Record<string, Figure> = {};
  // F1 on a few dozen failures is a noisy figure: the more models, the nearer its mean.
  const ai4i = await binary(place, 4 * runs, out);
  await ten(place, runs, out);
  const fd = await windows(place, Math.max(1, Math.ceil(runs / 2)), out);
  if (!ai4i || !fd) place.say('AI4I or FD001 is not at hand (MUNIMENT_DATA): their costs were not measured');
  return out;
}

async function trained(table: Table, target: string, ignore: readonly string[], seed: number, testRows: Uint32Array) {
  return trainModel({
    table,
    sha256: '0'.repeat(64),
    task: 'classify',
    target,
    ignore,
    seed,
    hidden: [64, 64],
    testRows,
  });
}

interface Round {
  readonly table: Table;
  readonly target: string;
  readonly ignore: readonly string[];
  readonly classes: number;
}

/** Trains, embeds, tweaks, asks. */
async function round(
  { folder, say }: Workplace,
  { table, target, ignore, classes }: Round,
  seed: number,
): Promise<{ queries: Readonly<Record<string, number>>; cost: number }> {
  const order = randomPermutation(table.rows, seededRandom(seed, 'rows'));
  const testRows = order.slice(0, Math.floor(table.rows / 4)).sort();
  const trainRows = order.slice(Math.floor(table.rows / 4)).sort();
  const { model } = await trained(table, target, ignore, seed, testRows);
  const file = path.join(folder, 'owned.onnx');
  await writeFile(file, model);
  const own = part(table, trainRows);
  const held = part(table, testRows);
  const plan = planTriggers({ table: own, sha256: '0'.repeat(64), target, ignore, n: TRIGGERS });
  const keys = keysOf(plan, `triggers ${target} ${seed}`);
  const marked: Embedded = await embedTriggers(file, { plan, keys, table: own, seed });
  const copy = path.join(folder, 'marked.onnx');
  await writeFile(copy, marked.model);
  const cost = 100 * ((await f1Of(file, held, target)) - (await f1Of(copy, held, target)));
  const thief = part(table, testRows.slice(0, Math.floor(testRows.length / 2)));
  const tweaks: Readonly<Record<string, Tweak>> = {
    'as it is': async (_, flat) => flat,
    int8: async ({ net }, flat) => quantise(net, flat, 8),
    'half pruned': async ({ net }, flat) => prune(net, flat, 0.5),
    tuned: () => tunedOn(copy, thief, target),
  };
  const queries: Record<string, number> = {};
  for (const [name, tweak] of Object.entries(tweaks)) {
    const flat = await tweak(marked.card, marked.parameters);
    const suspect = path.join(folder, 'suspect.onnx');
    await writeFile(suspect, exportModel(marked.card, flat));
    const { hits, n } = triggerTest(plan, keys, await answersTo(suspect, plan, keys))!;
    queries[name] = queriesFor(hits, n, classes);
    say(
      `${target}, seed ${seed}, ${name}: ${hits} of ${n}, ${queries[name]} queries; cost ${cost.toFixed(2)} points F1, ${marked.epochs} epochs`,
    );
  }
  return { queries, cost };
}

/** The thief trains on with rows of his own and their true labels. */
async function tunedOn(copy: string, rows: Table, target: string): Promise<Float32Array> {
  const model = await openModel(copy);
  try {
    const card = readCard(model.metadata, copy)!;
    const { parameters, size } = planNet(card.net);
    const start = new Float32Array(size);
    for (const { name, offset, elements } of parameters)
      start.set(await model.tensors.get(name)!.read(0, elements), offset);
    const all = Uint32Array.from({ length: rows.rows }, (_, k) => k);
    const truth = rows.columns.find(({ name }) => name === target)!;
    const targets = new Float32Array(rows.rows * card.classes.length);
    all.forEach((row) => {
      targets[row * card.classes.length + card.classes.indexOf(textAt(truth, row)!)] = 1;
    });
    const inputs = encodeRows(card, rawRows(rows, card.columns, all), rows.rows);
    const examples = { count: rows.rows, inputs, targets, weights: new Float32Array(rows.rows).fill(1) };
    const settings = { net: card.net, loss: 'cross-entropy' as const, seed: 5, epochs: 10, batch: 64, rate: 1e-3 };
    return (await fitNet(settings, examples, { start })).parameters;
  } finally {
    await model.close();
  }
}

/** F1 of the rarest class, or the mean over classes. */
async function f1Of(file: string, table: Table, target: string): Promise<number> {
  const { rows, header } = await predictTable(file, table);
  const truth = table.columns.find(({ name }) => name === target)!;
  const at = header.indexOf(target);
  const labels = [...new Set(Array.from({ length: table.rows }, (_, row) => textAt(truth, row)!))].sort();
  const counted = labels.length === 2 ? labels.slice(1) : labels;
  const each = counted.map((label) => {
    let [hit, said, real] = [0, 0, 0];
    rows.forEach((row, k) => {
      const [a, b] = [row[at] === label, textAt(truth, k) === label];
      if (a && b) hit++;
      if (a) said++;
      if (b) real++;
    });
    return said + real === 0 ? 0 : (2 * hit) / (said + real);
  });
  return each.reduce((a, b) => a + b, 0) / each.length;
}

/** The most queries that any marked model needs: as it is and in int8, half pruned, tuned on. */
function queryFigures(key: string, found: readonly Readonly<Record<string, number>>[]): Figures {
  const worst = (names: readonly string[]): Figure => ({
    value: Math.max(...found.flatMap((one) => names.map((name) => one[name]!))),
    n: found.length,
    interval95: null,
  });
  return {
    [key]: worst(['as it is', 'int8']),
    [`${key}_pruned`]: worst(['half pruned']),
    [`${key}_tuned`]: worst(['tuned']),
  };
}

async function ten(place: Workplace, runs: number, out: Record<string, Figure>): Promise<void> {
  const found: Readonly<Record<string, number>>[] = [];
  for (let run = 0; run < runs; run++) {
    const table = tenClasses(4_000, `rows ${run}`);
    found.push(
      (await round(place, { table, target: 'class', ignore: [], classes: 10 }, 10 * place.seed + run)).queries,
    );
  }
  Object.assign(out, queryFigures('queries_k10', found));
}

async function binary(place: Workplace, runs: number, out: Record<string, Figure>): Promise<boolean> {
  const file = path.join(dataFolder(), 'ai4i', 'ai4i2020.csv');
  if (!existsSync(file)) return false;
  const { table } = await readTable(file);
  const ignore = ['TWF', 'HDF', 'PWF', 'OSF', 'RNF'];
  const found: Readonly<Record<string, number>>[] = [];
  const costs: number[] = [];
  for (let run = 0; run < runs; run++) {
    const one = await round(place, { table, target: 'Machine failure', ignore, classes: 2 }, 10 * place.seed + run);
    found.push(one.queries);
    costs.push(one.cost);
  }
  Object.assign(out, queryFigures('queries_k2', found));
  out.trigger_cost_f1 = meanFigure(costs);
  return true;
}

const FD001_COLUMNS = ['unit', 'cycle', 'o1', 'o2', 'o3', ...Array.from({ length: 21 }, (_, i) => `s${i + 1}`)];
const WINDOW = { unit: 'unit', time: 'cycle', length: 30 };
const LIFE_CAP = 125;
/** Cycles. */
const OFFSET = 2;

function cmapss(file: string): Table {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return tableFromRows(
    path.basename(file),
    FD001_COLUMNS,
    lines.map((line) => line.trim().split(/\s+/).map(Number)),
  );
}

async function windows({ folder, seed, say }: Workplace, runs: number, out: Record<string, Figure>): Promise<boolean> {
  const data = path.join(dataFolder(), 'cmapss');
  if (!existsSync(path.join(data, 'train_FD001.txt'))) return false;
  const table = cmapss(path.join(data, 'train_FD001.txt'));
  const test = cmapss(path.join(data, 'test_FD001.txt'));
  const lives = readFileSync(path.join(data, 'RUL_FD001.txt'), 'utf8').trim().split('\n').map(Number);
  const costs: number[] = [];
  const log10p: number[] = [];
  for (let run = 0; run < runs; run++) {
    const { model, card } = await trainModel({
      table,
      sha256: '',
      task: 'forecast',
      target: 'remaining life',
      life: { cap: LIFE_CAP },
      window: WINDOW,
      seed: 10 * seed + run,
      testShare: 0.05,
      hidden: [64],
      channels: [32, 32],
      epochs: 12,
    });
    const file = path.join(folder, 'life.onnx');
    await writeFile(file, model);
    const target = {
      name: card.target,
      numbers: new Float64Array(table.rows),
      codes: new Int32Array(table.rows),
      texts: [],
    };
    const known = { ...table, columns: [...table.columns, target] };
    const plan = planTriggers({
      table: known,
      sha256: '0'.repeat(64),
      target: card.target,
      n: 400,
      window: WINDOW,
      offset: OFFSET,
    });
    const keys = keysOf(plan, `life ${seed} ${run}`);
    const marked = await embedTriggers(file, { plan, keys, table, seed: run, epochs: 12 });
    const copy = path.join(folder, 'life-marked.onnx');
    await writeFile(copy, marked.model);
    const rmse = async (suspect: string): Promise<number> => {
      const { rows, header } = await predictTable(suspect, test);
      const said = rows.map((row) => Number(row[header.indexOf(card.target)]));
      return Math.sqrt(
        said.reduce((sum, value, k) => sum + (value - Math.min(LIFE_CAP, lives[k]!)) ** 2, 0) / said.length,
      );
    };
    const numbers = async (suspect: string) =>
      new Map([...(await answersTo(suspect, plan, keys))].map(([index, value]) => [index, Number(value)]));
    const before = await rmse(file);
    const cost = (await rmse(copy)) - before;
    const result = offsetTest(plan, keys, await numbers(copy), await numbers(file))!;
    const q8 = path.join(folder, 'life-int8.onnx');
    await writeFile(
      q8,
      exportModel(
        card,
        Float32Array.from(marked.parameters, (value) => Math.round(value * 256) / 256),
      ),
    );
    const rounded = offsetTest(plan, keys, await numbers(q8), await numbers(file))!;
    costs.push(cost);
    log10p.push(Math.max(result.bound, rounded.bound));
    say(
      `FD001, run ${run}: RMSE ${before.toFixed(2)}, cost ${cost.toFixed(3)}; z ${result.z.toFixed(1)}, weights rounded to 1/256: ${rounded.z.toFixed(1)}`,
    );
  }
  out.trigger_cost_rmse = meanFigure(costs);
  out.trigger_offset_log10p = { value: Math.max(...log10p), n: log10p.length, interval95: null };
  return true;
}
