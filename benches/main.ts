/** `npm run bench:main`: everything that the main job must show, at full size. `--only NAME` runs one section. */
import { badInput } from './main/bad-input.js';
import { bigFiles } from './main/big.js';
import { killWriters } from './main/kill.js';
import { bundleMutants } from './main/mutants.js';
import { realPairs } from './main/real.js';
import { checkRecipients } from './main/recipients.js';
import { falseRelated } from './main/rivals.js';
import { springTraps } from './main/traps.js';
import { compareTweaks } from './main/tweaks.js';
import { runSections, type Section } from './sections.js';

const SECTIONS: readonly Section[] = [
  {
    name: 'tweaks',
    goals: {
      compare_int8_log10p: { atMost: -12 },
      compare_int4_log10p: { atMost: -12 },
      compare_prune50_log10p: { atMost: -12 },
      compare_ft30_log10p: { atMost: -12 },
    },
    run: (place, quick) => compareTweaks(place, quick ? 1 : 5),
  },
  {
    name: 'recipients',
    goals: { check_log10p: { atMost: -12 }, check_named: { atLeast: 1 }, innocents_named: { atMost: 0 } },
    run: (place, quick) => checkRecipients(place, quick ? 5 : 20),
  },
  {
    name: 'rivals',
    goals: { false_related: { atMost: 0 } },
    run: (place, quick) => falseRelated(place, quick ? 20 : 200),
  },
  { name: 'traps', goals: { traps: { atMost: 0 } }, run: (place) => springTraps(place) },
  { name: 'real', goals: { real_pairs_wrong: { atMost: 0 } }, run: (place, quick) => realPairs(place, quick) },
  {
    name: 'big',
    goals: { big_bytes_share: { atMost: 0.01 }, big_seconds: { atMost: 2 } },
    run: (place, quick) => (quick ? bigFiles(place, 4, 4096) : bigFiles(place, 16)),
  },
  {
    name: 'kill',
    goals: { kill_lost: { atMost: 0 }, kill_clean: { atLeast: 1 } },
    run: (place, quick) => killWriters(place, quick ? 20 : 500),
  },
  {
    name: 'bad-input',
    goals: { bad_input_wrong: { atMost: 0 }, bad_input_peak_mb: { atMost: 512 } },
    run: (place, quick) => badInput(place, quick),
  },
  {
    name: 'mutants',
    goals: { bundle_mutants_accepted: { atMost: 0 } },
    run: (place, quick) => bundleMutants(place, quick ? 100 : 2_000),
  },
];

await runSections('main', SECTIONS);
