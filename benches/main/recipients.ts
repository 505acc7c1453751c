/** `check` in a room: whose copy a disguised and damaged model is, and who is not to be named. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { seededRandom } from '../../src/base/index.js';
import { checkSuspect } from '../../src/detect/index.js';
import { type ReleaseRoom, release, releaseRoom } from '../../src/mark/index.js';
import { recordAssets } from '../../src/record/index.js';
import { initRoom } from '../../src/room/index.js';
import type { ModelCard } from '../../src/train/index.js';
import {
  disguise,
  netOf,
  OWNER_SEED,
  parametersIn,
  prune,
  quantise,
  sharedData,
  train,
  trainFrom,
  writeQuantised,
  writeWith,
} from './nets.js';
import { countFigure, type Figures, shareFigure, type Workplace, worst } from './section.js';

/** 5,248 weights. */
const FEATURES = 16;
const RECIPIENTS = ['first', 'second'];
const TRIALS_A_ROOM = 5;

export async function checkRecipients({ folder, seed, say }: Workplace, trials: number): Promise<Figures> {
  const net = netOf(FEATURES);
  const log10p: number[] = [];
  let named = 0;
  let innocents = 0;
  let looked = 0;
  let room: ReleaseRoom | null = null;
  let card: ModelCard | null = null;
  let at = (name: string): string => path.join(folder, name);
  for (let trial = 0; trial < trials; trial++) {
    const random = seededRandom(seed, `recipients ${trial}`);
    if (room === null || card === null || trial % TRIALS_A_ROOM === 0) {
      const owned = await train(net, OWNER_SEED + 1_000 * seed + trial);
      card = owned.card;
      const place = path.join(folder, `room-${trial}`);
      at = (name) => path.join(`${place}-files`, name);
      // scrypt's cost guards a passphrase, and there is nothing to guard here.
      room = releaseRoom(await initRoom(place, { owner: 'the bench', passphrase: 'bench', vaultCost: 1024 }));
      const own = path.join(folder, `own-${trial}.onnx`);
      await writeFile(own, owned.model);
      await recordAssets(room, [{ kind: 'model', paths: [own], facts: { name: `net ${trial}` }, keep: 'full' }]);
      for (const recipient of RECIPIENTS) await release(room, { model: own, recipient, out: at(`${recipient}.onnx`) });
    }
    const copy = at('second.onnx');
    const moved = disguise(net, await parametersIn(copy, net), random);
    const tuning = { data: sharedData(FEATURES, `thief ${trial}`, 500), epochs: 30, rate: 1e-3, seed: trial };
    const thinned = prune(net, await trainFrom(moved, card, tuning), 0.5);
    const thief = at(`thief-${trial}.onnx`);
    if (trial % 2 === 0) await writeWith(copy, net, quantise(net, thinned, 4), thief);
    else await writeQuantised(net, thinned, 4, thief);

    const { candidates } = await checkSuspect(room, thief);
    const [best] = candidates;
    const right = best?.recipient === 'second' && best.verdict === 'related' && best.kind === 'exact';
    if (right) named++;
    else say(`WRONG trial ${trial}: ${best?.recipient} ${best?.verdict} ${best?.kind}: ${best?.reason}`);
    log10p.push(right && best.log10p !== null ? best.log10p : 0);
    if (trial === 0)
      say(`thief: log10 p ${best?.log10p?.toFixed(1)}, ${best?.tweaks.map(({ kind }) => kind).join(', ')}`);

    const rival = at(`rival-${trial}.onnx`);
    await writeFile(rival, (await train(net, 2 * OWNER_SEED + 1_000 * seed + trial)).model);
    const { candidates: honest } = await checkSuspect(room, rival);
    for (const [candidate, who] of [
      ...candidates
        .filter(({ recipient }) => recipient === 'first')
        .map((one) => [one, 'the first recipient'] as const),
      ...honest.map((one) => [one, 'an honest rival'] as const),
    ]) {
      looked++;
      if (candidate.verdict !== 'related') continue;
      innocents++;
      say(`WRONG trial ${trial}: ${who} is named: ${candidate.reason}`);
    }
  }
  return {
    check_log10p: worst(log10p),
    check_named: shareFigure(named, trials),
    innocents_named: countFigure(innocents, looked),
  };
}
