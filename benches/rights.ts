/** `npm run bench:rights`: a hundred thousand statements to the full matrix. */
import { type Json, seededRandom, sha256Hex, utf8 } from '../src/base/index.js';
import type { StatementView } from '../src/record/index.js';

import { type BenchCall, type Measurement, runBench } from './harness.js';

// What is measured is the product as it is built (`npm run setup`), not the sources through a translator.
const built = new URL('../dist/rights/index.js', import.meta.url).href;
const { evaluate, factReader, loadLaw, loadMeasures, matrixOf, registerOf, settingOf, specsOf, subjectsOf } =
  (await import(built)) as typeof import('../src/rights/index.js');

const STATEMENTS = 100_000;
const ASOF = '2026-11-22';
const WAYS = ['made', 'own-sensors', 'connected-product', 'collected', 'simulated', 'bought'];
const LEVELS = ['secret', 'confidential', 'internal', 'public'];

/** A room of a large manufacturer: half of the statements are assets, the rest answers, measures, terms, copies and checks. */
function room(n: number, seed: number): StatementView[] {
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[random.below(items.length)]!;
  const day = (): string => `20${10 + random.below(17)}-0${1 + random.below(9)}-1${random.below(10)}`;
  const assets: string[] = [];
  const all: StatementView[] = [];
  const add = (kind: string, predicate: Record<string, Json>, name?: string): void => {
    const index = all.length;
    const sha256 = sha256Hex(utf8(`${seed} ${index}`));
    if (name !== undefined) assets.push(sha256);
    const subjects = name === undefined ? [] : [{ name, sha256 }];
    all.push({
      index,
      sha256,
      kind,
      subjects,
      time: '2026-01-01T00:00:00Z',
      predicate: name === undefined ? predicate : { name, ...predicate },
    });
  };
  const facts: readonly [string, Json][] = [
    ['published', false],
    ['published', true],
    ['generally-known', false],
    ['investment-substantial', true],
    ['technical-contribution', 'technical-purpose'],
    ['human-inventor', true],
    ['made-by', 'human'],
    ['patent-filed-on', '2025-05-05'],
  ];
  while (all.length < n) {
    const what = random.below(100);
    if (what < 50) {
      const kind = pick([
        'training-set',
        'test-set',
        'model',
        'model',
        'code',
        'training-parameters',
        'architecture',
        'documentation',
      ]);
      add(
        kind,
        {
          how: { way: pick(WAYS) },
          country: pick(['NL', 'DE', 'GB', 'US', 'JP']),
          made: { to: day() },
          confidentiality: { level: pick(LEVELS), marked: random.below(2) === 1 },
          effort: { [pick(['obtaining', 'verification', 'creation'])]: { hours: 1 + random.below(500) } },
          ...(random.below(2) === 1 ? { columns: ['a', 'b'] } : {}),
          ...(random.below(2) === 1
            ? { authors: [{ name: `person ${random.below(40)}`, relation: 'employee', part: 'design' }] }
            : {}),
        },
        `asset ${all.length}`,
      );
    } else if (what < 65) {
      const [fact, value] = pick(facts);
      add('answer', { fact, value, ...(assets.length > 0 ? { asset: pick(assets) } : {}) });
    } else if (what < 70) {
      add('measure', {
        measure: pick(['M03', 'M04', 'M11', 'M12', 'M18']),
        state: 'in-force',
        on: '2026-10-01',
        ...(assets.length > 0 && random.below(3) > 0 ? { assets: [pick(assets)] } : {}),
      });
    } else if (what < 72) {
      add('terms', {
        kind: 'confidentiality',
        parties: [`customer ${random.below(500)}`],
        signed: '2024-01-01',
        clauses: { reverseEngineering: true },
        ...(assets.length > 0 ? { assets: [pick(assets)] } : {}),
      });
    } else if (what < 85 && assets.length > 0) {
      add('release', { recipient: `customer ${random.below(500)}`, model: { name: 'm', sha256: pick(assets) } });
    } else add('check', { verdict: 'no-evidence' });
  }
  return all;
}

async function measure(call: BenchCall): Promise<Measurement> {
  const statements = room(call.quick ? STATEMENTS / 10 : STATEMENTS, call.seed);
  const law = loadLaw();
  const measures = loadMeasures();
  const times: number[] = [];
  let rows = 0;
  let assets = 0;
  for (let run = 0; run < (call.quick ? 3 : 9); run++) {
    const started = performance.now();
    const matrix = matrixOf(law, measures, statements, { asOf: ASOF });
    times.push(performance.now() - started);
    rows = matrix.rows.length;
    assets = matrix.rows.reduce((sum, row) => sum + row.subjects.length, 0);
  }
  times.sort((a, b) => a - b);
  const middle = times[times.length >> 1]!;
  call.say(
    `${statements.length} statements, ${assets} assets and parts in ${rows} rows, ${rows * law.rules.length} answers: ${times.map((one) => one.toFixed(0)).join(' ')} ms`,
  );

  // The baseline: every asset by itself, on a sample, scaled to all.
  const register = registerOf(statements);
  const setting = settingOf(measures, register, ASOF);
  const sample = [...subjectsOf(register)].slice(0, 500);
  const started = performance.now();
  for (const subject of sample) {
    const facts = factReader(specsOf(law, subject.row), setting).read(subject);
    for (const rule of law.rules) evaluate(rule, subject.row, { facts, sets: law.sets, today: ASOF });
  }
  const alone = ((performance.now() - started) / sample.length) * assets;
  const figure = (value: number, n: number) => ({
    value: Number(value.toPrecision(4)),
    n,
    interval95: [times[0]!, times.at(-1)!].map((one) => Number(one.toPrecision(4))) as [number, number],
  });
  return {
    figures: {
      matrix_ms: figure(middle, times.length),
      statements_per_s: { ...figure((statements.length / middle) * 1000, times.length), interval95: null },
      vs_asset_by_asset: { ...figure(alone / middle, sample.length), interval95: null },
      rows: { value: rows, n: assets, interval95: null },
    },
    notMeasured: call.quick
      ? [{ key: 'matrix_ms at 100,000 statements', why: 'a quick run takes a tenth of them' }]
      : [],
  };
}

await runBench('rights', { matrix_ms: { atMost: 1000 }, statements_per_s: { atLeast: 100_000 } }, measure);
