/** `npm run bench:mark`: what marks cost, what they survive, whom they name. `--only NAME` runs one section. */
import { CAPACITY_1E4, CAPACITY_1E5, capacity } from './mark/capacity.js';
import { collusion, LARGE, SMALL } from './mark/collusion.js';
import { wrongKeys } from './mark/null.js';
import { removal } from './mark/removal.js';
import { markCost } from './mark/strength.js';
import { treeMarks } from './mark/trees.js';
import { triggers } from './mark/triggers.js';
import { runSections, type Section } from './sections.js';

const SECTIONS: readonly Section[] = [
  {
    name: 'strength',
    goals: { mark_cost_points: { atMost: 0.1 }, mark_log10p: { atMost: -30 } },
    run: (place, quick) => markCost(place, quick ? 1 : 10),
  },
  {
    name: 'null',
    goals: { ks_p: { atLeast: 0.01 }, false_accusations: { atMost: 0 } },
    run: (place, quick) =>
      wrongKeys(place, quick ? { draws: 400, models: 2, keys: 20 } : { draws: 20_000, models: 100, keys: 1_000 }),
  },
  {
    name: 'collusion',
    goals: { colluders_1e4: { atLeast: 5 }, innocents_accused_1e4: { atMost: 0 } },
    run: (place, quick) => collusion(place, quick ? { ...SMALL, recipients: 50, rounds: 1 } : SMALL),
  },
  {
    name: 'collusion-large',
    goals: { colluders_1e6: { atLeast: 20 }, innocents_accused_1e6: { atMost: 0 } },
    run: async (place, quick) =>
      quick ? { notMeasured: 'a million weights and 10,000 recipients take minutes' } : collusion(place, LARGE),
  },
  {
    name: 'removal',
    goals: {},
    run: (place, quick) => removal(place, quick ? 1 : 5),
  },
  {
    name: 'triggers',
    goals: {
      queries_k10: { atMost: 25 },
      queries_k2: { atMost: 150 },
      trigger_cost_f1: { atMost: 0.2 },
      trigger_cost_rmse: { atMost: 0.2 },
    },
    run: (place, quick) => triggers(place, quick ? 1 : 10),
  },
  { name: 'trees', goals: {}, run: (place, quick) => treeMarks(place, quick ? 1 : 10) },
  {
    name: 'capacity',
    goals: { bits_1e4: { atLeast: 64 }, bits_1e5: { atLeast: 128 } },
    run: async (place, quick) =>
      quick
        ? { notMeasured: 'three million bits take minutes' }
        : { ...(await capacity(place, CAPACITY_1E4)), ...(await capacity(place, CAPACITY_1E5)) },
  },
];

await runSections('mark', SECTIONS);
