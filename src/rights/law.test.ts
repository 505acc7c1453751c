/** The table tests that a lawyer can read, `law/<jurisdiction>/<right>.test.yaml`: name, date, facts in, outcome and reason out. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { FactValue } from './condition.js';
import { evaluate } from './evaluate.js';
import type { RowKind } from './law.js';
import { lawFolder, loadLaw, readYaml } from './load-law.js';

interface Row {
  readonly name: string;
  /** Default: the day of the rules base. */
  readonly date?: string;
  readonly asset: RowKind;
  readonly facts: Readonly<Record<string, FactValue>>;
  readonly expect: string;
  /** The reason that decides. */
  readonly because: string;
  readonly attainable?: string;
}

const law = loadLaw();

for (const rule of law.rules) {
  const name = `${rule.jurisdiction.toLowerCase()}/${rule.right}.test.yaml`;
  const file = path.join(lawFolder(), name);
  if (!existsSync(file)) continue;
  describe(name, () => {
    for (const row of (readYaml(file) as { tests: readonly Row[] }).tests) {
      test(row.name, () => {
        for (const [id, value] of Object.entries(row.facts)) {
          const spec = law.facts.get(id);
          assert.ok(spec, `no fact ${id}`);
          if (spec.type === 'choice') assert.ok(spec.values!.includes(String(value)), `${id} is never ${value}`);
        }
        const cell = evaluate(rule, row.asset, {
          facts: new Map(Object.entries(row.facts)),
          sets: law.sets,
          today: row.date ?? rule.asOf,
        });
        assert.equal(
          cell.answer,
          row.expect,
          cell.reasons.map((one) => `${one.id}: ${one.state} ${one.why}`).join('\n'),
        );
        assert.ok(cell.decides.includes(row.because), `decided by ${cell.decides}`);
        if (row.attainable !== undefined) assert.equal(cell.attainable, row.attainable);
      });
    }
  });
}

test('every table of tests lies beside its rule', () => {
  for (const folder of readdirSync(lawFolder(), { withFileTypes: true }).filter((one) => one.isDirectory())) {
    for (const name of readdirSync(path.join(lawFolder(), folder.name))) {
      assert.match(name, /^(copyright|patent|database-right|trade-secret)(\.test)?\.yaml$/);
    }
  }
});
