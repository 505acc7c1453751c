/** `npm run bench:mark`: what marks cost, what they survive, whom they name. `--only NAME` runs one section. */
import { markCost } from './mark/strength.js';
import { runSections, type Section } from './sections.js';

const SECTIONS: readonly Section[] = [
  {
    name: 'strength',
    goals: { mark_cost_points: { atMost: 0.1 }, mark_log10p: { atMost: -30 } },
    run: (place, quick) => markCost(place, quick ? 1 : 10),
  },
];

await runSections('mark', SECTIONS);
