/** What the main job must show, at a reduced size; `npm run bench:main` has the full one. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { badInput } from '../benches/main/bad-input.js';
import { bigFiles } from '../benches/main/big.js';
import { killWriters } from '../benches/main/kill.js';
import { bundleMutants } from '../benches/main/mutants.js';
import { realPairs } from '../benches/main/real.js';
import { checkRecipients } from '../benches/main/recipients.js';
import { falseRelated } from '../benches/main/rivals.js';
import type { Figures, Workplace } from '../benches/main/section.js';
import { springTraps } from '../benches/main/traps.js';
import { compareTweaks } from '../benches/main/tweaks.js';

const SEED = 7;

/** Runs a section in a folder of its own; what it found wrong is in the message of the first assertion that fails. */
const section = (
  name: string,
  run: (place: Workplace) => Promise<Figures | { readonly notMeasured: string }>,
  holds: (value: (key: string) => number, said: string) => void,
): Promise<void> =>
  test(name, { timeout: 120_000 }, async (t: TestContext) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'muniment-must-show-'));
    const said: string[] = [];
    try {
      const figures = await run({ folder, seed: SEED, say: (line) => said.push(line) });
      if ('notMeasured' in figures) return t.skip(String(figures.notMeasured));
      const value = (key: string): number => {
        assert.ok(key in figures, `${key} was measured`);
        return figures[key]!.value;
      };
      holds(value, said.filter((line) => line.startsWith('WRONG')).join('\n'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

describe('must show', { concurrency: 2 }, () => {
  section(
    'writers killed at random instants: nothing acknowledged is lost, and the log is clean',
    (place) => killWriters(place, 4),
    (value, said) => {
      assert.equal(value('kill_lost'), 0, said);
      assert.equal(value('kill_clean'), 1, said);
    },
  );
  section(
    'a net and its quantised, pruned and fine-tuned copies: related',
    (place) => compareTweaks(place, 1),
    (value, said) => {
      for (const copy of ['int8', 'int4', 'prune50', 'ft30']) {
        assert.ok(value(`compare_${copy}_log10p`) <= -12, `${copy} ${value(`compare_${copy}_log10p`)} ${said}`);
      }
    },
  );
  section(
    'the recipient of a disguised and damaged copy is named, and nobody else',
    (place) => checkRecipients(place, 2),
    (value, said) => {
      assert.equal(value('check_named'), 1, said);
      assert.ok(value('check_log10p') <= -12, `log10 p ${value('check_log10p')}`);
      assert.equal(value('innocents_named'), 0, said);
    },
  );
  section(
    'independent models of the same data: none related',
    (place) => falseRelated(place, 10),
    (value, said) => assert.equal(value('false_related'), 0, said),
  );
  section(
    'the traps of docs/theory.md come out as its §11 says',
    (place) => springTraps(place),
    (value, said) => assert.equal(value('traps'), 0, said),
  );
  section(
    'weights that nobody here wrote',
    (place) => realPairs(place, true),
    (value, said) => assert.equal(value('real_pairs_wrong'), 0, said),
  );
  section(
    'large files are read in small part',
    (place) => bigFiles(place, 4, 2048),
    (value, said) => {
      assert.equal(value('big_related'), 1, said);
      // At 4 GB it is below 1 %: what is read hardly grows with the file.
      assert.ok(value('big_bytes_share') < 0.05, `${value('big_bytes_share')}`);
    },
  );
  section(
    'damaged and lying input is refused by one message, in little memory',
    (place) => badInput(place, true),
    (value, said) => {
      assert.equal(value('bad_input_wrong'), 0, said);
      assert.ok(value('bad_input_peak_mb') < 512, `${value('bad_input_peak_mb')} MB`);
    },
  );
  section(
    'a single byte changed anywhere in a bundle is refused',
    (place) => bundleMutants(place, 60),
    (value, said) => assert.equal(value('bundle_mutants_accepted'), 0, said),
  );
});
