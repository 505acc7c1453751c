/** Walks every cell that the rules can give: none without a reason, no reason without a source, nothing unverified unmarked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FactValue } from './condition.js';
import { evaluate } from './evaluate.js';
import { type FactSpec, jurisdictions, rights, rowKinds } from './law.js';
import { loadLaw, ruleOf } from './load-law.js';
import { matrixOf } from './matrix.js';
import { loadMeasures } from './measures.js';
import { ledgerOf } from './testing/statements.js';
import { matrixView } from './view.js';

const law = loadLaw();

const anyValue = (spec: FactSpec): fc.Arbitrary<FactValue> =>
  spec.type === 'boolean'
    ? fc.boolean()
    : spec.type === 'choice'
      ? fc.constantFrom(...spec.values!)
      : spec.type === 'country'
        ? fc.constantFrom('NL', 'GB', 'US', 'JP')
        : fc.constantFrom('1999-05-05', '2024-12-01', '2026-06-30', '2030-01-01');

const someFacts = fc
  .tuple(...[...law.facts.values()].map((spec) => fc.option(anyValue(spec), { freq: 3 })))
  .map((values) => new Map([...law.facts.keys()].flatMap((id, i) => (values[i] === null ? [] : [[id, values[i]!]]))));

test('there is a rule for every right in every jurisdiction', () => {
  for (const jurisdiction of jurisdictions) for (const right of rights) assert.ok(ruleOf(law, jurisdiction, right));
});

test('every cell answers with reasons, every reason with a source', () => {
  fc.assert(
    fc.property(someFacts, fc.constantFrom('2019-01-01', '2025-09-11', '2026-11-22', '2035-01-01'), (facts, today) => {
      for (const rule of law.rules) {
        for (const row of rowKinds) {
          const where = `${rule.jurisdiction} ${rule.right} ${row}`;
          const cell = evaluate(rule, row, { facts, sets: law.sets, today });
          assert.ok(cell.reasons.length > 0, where);
          assert.ok(cell.decides.length > 0, where);
          assert.ok(cell.range.low <= cell.range.high, where);
          for (const reason of cell.reasons) {
            assert.ok(reason.why.length > 0 && reason.why.every((why) => why.length > 2), `${where} ${reason.id}`);
            assert.ok(reason.cite.length > 0, `${where} ${reason.id}`);
          }
          const rests = [...(cell.titles[0]?.title.cite ?? []), ...cell.reasons.flatMap((one) => one.cite)];
          const unverified = rests.some((one) => !one.verified);
          assert.equal(cell.unverified.length > 0, unverified, where);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('the view marks every unverified cell, names every source, and leaves nothing dangling', () => {
  const view = matrixView(law, matrixOf(law, loadMeasures(), ledgerOf([]), { asOf: '2026-11-22' }));
  assert.equal(view.rows.length, rowKinds.length);
  for (const row of view.rows) {
    assert.equal(row.cells.length, jurisdictions.length * rights.length);
    for (const cell of row.cells) {
      const said = [
        ...cell.reasons,
        ...(cell.term === null ? [] : [cell.term]),
        ...(cell.formality === null ? [] : [cell.formality]),
        ...cell.stops,
        ...Object.values(cell.defences ?? {}),
        ...Object.values(cell.remedies ?? {}),
        ...cell.cases,
      ];
      for (const one of said) {
        assert.ok(one.sources.length > 0, one.text);
        for (const source of one.sources) assert.ok(source.cite.length > 2, one.text);
      }
      const marked = cell.reasons.some((reason) => reason.sources.some((source) => !source.verified));
      if (marked) assert.ok(cell.unverified.length > 0);
    }
  }
  assert.match(view.notices.join(' '), /not legal advice/);
});

test('no text says that a mark makes a model copyrighted, and none promises protection', () => {
  const texts: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value === 'string') texts.push(value);
    else if (value !== null && typeof value === 'object') for (const one of Object.values(value)) walk(one);
  };
  walk(law.rules);
  for (const text of texts) {
    assert.doesNotMatch(text, /(mark|watermark)\w* (makes|renders) (a|the|your) model copyright/i);
    assert.doesNotMatch(text, /your model is (now )?(copyrighted|protected)/i);
    assert.doesNotMatch(text, /fate-oracle|zloadr|time\.news/);
  }
});

/** A new investment that starts a term again is not presumed: it counts once it is recorded. */
const mayBeUnknown = [...law.facts.keys()].filter((fact) => fact !== 'last-substantial-update');

test('fewer facts never make an answer surer, and never wrong: the range of part of the facts holds that of all', () => {
  fc.assert(
    fc.property(someFacts, fc.constantFrom(...mayBeUnknown), (facts, dropped) => {
      const fewer = new Map(facts);
      fewer.delete(dropped);
      for (const rule of law.rules) {
        for (const row of rowKinds) {
          const all = evaluate(rule, row, { facts, sets: law.sets, today: '2026-11-22' }).range;
          const part = evaluate(rule, row, { facts: fewer, sets: law.sets, today: '2026-11-22' }).range;
          assert.ok(part.high >= all.high, `${rule.jurisdiction} ${rule.right} ${row} without ${dropped}`);
          if (law.facts.get(dropped)!.type !== 'date')
            assert.ok(part.low <= all.low, `${rule.jurisdiction} ${rule.right} ${row} without ${dropped}`);
        }
      }
    }),
    { numRuns: 60 },
  );
});
