/** The whole journey on a simulated fleet, told in plain words; every number is computed while it runs. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Clock, Progress } from '../../base/index.js';
import { type Candidate, checkSuspect, compareFiles, type RoomCheck, tweakText } from '../../detect/index.js';
import { proveBundle, readTrust, type VerifyReport, verifyBundle } from '../../evidence/index.js';
import { release, releaseRoom } from '../../mark/index.js';
import { recordAssets } from '../../record/index.js';
import { initRoom, type Room } from '../../room/index.js';
import { measuresOf, readNet, readTable, type Trained, tableCsv, trainingAssets } from '../../train/index.js';
import { type RightsTold, rightsChapter } from './rights.js';
import { disguised, EPOCHS } from './thief.js';
import { type Answers, answersOf, OPERATIONS, readingsFor, trainClassifier, writeFleet } from './world.js';

export interface Narrator {
  /** A heading, and the command that a user would type. */
  step(title: string, command?: string): void;
  say(line: string): void;
  progress(label: string): Progress;
}

export interface Journey {
  readonly folder: string;
  readonly quality: Readonly<Record<string, number>>;
  readonly parameters: number;
  readonly releases: readonly {
    readonly release: string;
    readonly recipient: string;
    /** Share of unseen operations that the copy answers as the original does. */
    readonly agreement: number;
  }[];
  /** F1 of failures on operations that no model was trained on. */
  readonly f1: Readonly<Record<'original' | 'northmill' | 'harbourWorks' | 'suspect' | 'competitor', number>>;
  readonly rights: RightsTold;
  readonly compare: { readonly verdict: string; readonly log10p: number | null };
  readonly thief: Told;
  readonly competitor: Told;
  readonly verified: {
    readonly publicAlone: string;
    readonly publicTrusted: string;
    readonly alone: string;
    readonly trusted: string;
    readonly tampered: string;
  };
  /** What the expert's computer found from the opened rows: one batch of keys of two. */
  readonly recomputed: readonly { readonly test: string; readonly log10p: number }[];
  readonly seconds: number;
}

interface Told {
  readonly check: string;
  readonly verdict: string;
  readonly recipient: string | null;
  readonly kind: string | null;
  readonly log10p: number | null;
  readonly tweaks: readonly string[];
}

const MAKER = 'Example Works';
/** Both invented. */
const CUSTOMERS = ['Northmill', 'Harbour Works'] as const;
export const PASSPHRASE = 'the demo’s passphrase is no secret';
const FLEET_SEED = 1_904_771;
/** A year later: readings for the comparison of answers. */
const UNSEEN_SEED = FLEET_SEED + 2;
const UNSEEN = 2_000;

/** @param folder empty; everything is left in it */
export async function journey(folder: string, clock: Clock, tell: Narrator): Promise<Journey> {
  const started = performance.now();
  const at = (name: string): string => path.join(folder, name);

  tell.step('A fleet');
  const fleet = await writeFleet(folder, FLEET_SEED);
  tell.say(
    `${OPERATIONS} operations of simulated machines, ${fleet.failures} of them failures, in fleet.csv. No real machine stands behind them.`,
  );

  tell.step('The maker opens a room', `muniment init --owner "${MAKER}"`);
  const room = await initRoom(at('.muniment'), { owner: MAKER, passphrase: PASSPHRASE, clock });
  tell.say(
    'The ledger, the vault and the keys lie in one folder. No time-stamp authority is named: all times are this demo’s clock, not evidence.',
  );

  tell.step(
    'The maker trains a failure classifier, and its cost goes on record',
    'muniment train fleet.csv --target failure --hidden 64,64 --out pump.onnx --effort creation=200h,18000EUR --effort …',
  );
  const trained = await trainClassifier(fleet.file, tell.progress('training'));
  const quality = Object.fromEntries(measuresOf(trained.record.quality).map(({ metric, value }) => [metric, value]));
  await recordTraining(room, trained, fleet.file, folder);
  tell.say(
    `${trained.record.architecture.parameters} parameters; on ${trained.record.quality.n} operations it never saw: F1 ${fixed(quality.f1)}, PR-AUC ${fixed(quality['pr-auc'])}.`,
  );
  tell.say(effortLine());

  tell.step(
    'Two customers, two marked copies',
    `muniment release pump.onnx --to "${CUSTOMERS[0]}" --out northmill.onnx`,
  );
  const answers = (name: string): Promise<Answers> => answersOf(at(name), UNSEEN_SEED, UNSEEN);
  const original = await answers('pump.onnx');
  const releases = [];
  const copies: Answers[] = [];
  for (const recipient of CUSTOMERS) {
    const out = at(`${recipient.toLowerCase().replaceAll(' ', '-')}.onnx`);
    const made = await release(releaseRoom(room), { model: at('pump.onnx'), recipient, out });
    const copy = await answers(path.basename(out));
    const same = copy.said.filter((said, row) => said === original.said[row]).length;
    copies.push(copy);
    releases.push({ release: made.release, recipient, agreement: same / UNSEEN });
    tell.say(
      `${recipient}: ${path.basename(out)}, ${made.units} hidden units in a secret order, ${made.markedWeights} weights marked; answers as the original does on ${same} of ${UNSEEN} new operations (F1 ${fixed(copy.f1)}, the original’s ${fixed(original.f1)}).`,
    );
  }
  const stolen = at('harbour-works.onnx');

  const law = await rightsChapter({ room, folder, customers: CUSTOMERS }, tell);

  tell.step('Someone copies the second copy and hides it');
  const { card } = await readNet(stolen);
  await writeFile(at('suspect.onnx'), await disguised(stolen, readingsFor(card, FLEET_SEED + 1, 1000), FLEET_SEED));
  const suspect = await answers('suspect.onnx');
  tell.say(
    `Hidden units permuted and rescaled, ${EPOCHS} epochs of fine-tuning on other readings, half of the weights pruned, the rest rounded to the 15 values of int4, one scale a row: suspect.onnx. It still finds failures (F1 ${fixed(suspect.f1)}).`,
  );

  tell.step('An honest competitor trains on the same data');
  const rival = await trainClassifier(fleet.file, tell.progress('training'));
  await writeFile(at('competitor.onnx'), rival.model);
  const honest = await answers('competitor.onnx');
  tell.say(`Same data, same method, another random start: competitor.onnx (F1 ${fixed(honest.f1)}).`);

  tell.step('Do the two files look alike, without any room?', 'muniment compare pump.onnx competitor.onnx');
  const compared = await compareFiles(at('pump.onnx'), at('competitor.onnx'));
  tell.say(`${compared.verdict}. ${compared.reason}`);

  tell.step('Is either of them one of ours?', 'muniment check suspect.onnx --keep');
  const thief = await checkSuspect(releaseRoom(room), at('suspect.onnx'), {
    keep: true,
    custody: { obtainedFrom: 'a simulated device', by: 'the demo' },
  });
  tellCheck(tell, 'suspect.onnx', thief);
  const competitor = await checkSuspect(releaseRoom(room), at('competitor.onnx'), {});
  tellCheck(tell, 'competitor.onnx', competitor);

  tell.step('Evidence for the court’s expert', `muniment prove ${thief.id} --expert --out bundle`);
  await proveBundle(room, { target: thief.id, out: at('public-bundle') });
  const proved = await proveBundle(room, { target: thief.id, out: at('bundle'), expert: true });
  tell.say(
    `bundle/: ${proved.statements} statements with their proofs, the tested rows, report.html, and one of the release’s two batches of keys: the other stays secret, for another court. public-bundle/: the same without rows and keys.`,
  );

  tell.step(
    'The expert verifies, offline, without the room',
    'muniment verify bundle --trust trust.json --suspect suspect.onnx',
  );
  const trust = await writeTrust(room, at('trust.json'));
  const publicAlone = await verifyBundle(at('public-bundle'));
  const publicTrusted = await verifyBundle(at('public-bundle'), trust);
  const alone = await verifyBundle(at('bundle'));
  tell.say(`Without a trust file, either bundle: ${alone.says}`);
  const trusted = await verifyBundle(at('bundle'), trust, { suspect: at('suspect.onnx') });
  tell.say(`With the maker’s key, had another way: ${trusted.says}`);
  for (const line of trusted.lines)
    tell.say(`${line.test}, recomputed from the rows under the opened batch: log10 p ${line.log10p.toFixed(2)}`);
  const tampered = await tamper(folder);
  tell.say(`One byte of the bundle changed: ${tampered.says}`);

  return {
    folder,
    quality,
    parameters: trained.record.architecture.parameters,
    releases,
    rights: law,
    compare: { verdict: compared.verdict, log10p: compared.log10p },
    thief: told(thief),
    competitor: told(competitor),
    f1: {
      original: original.f1,
      northmill: copies[0]!.f1,
      harbourWorks: copies[1]!.f1,
      suspect: suspect.f1,
      competitor: honest.f1,
    },
    verified: {
      publicAlone: publicAlone.result,
      publicTrusted: publicTrusted.result,
      alone: alone.result,
      trusted: trusted.result,
      tampered: tampered.result,
    },
    recomputed: trusted.lines.map(({ test, log10p }) => ({ test, log10p })),
    seconds: (performance.now() - started) / 1000,
  };
}

const fixed = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(2));

/** The story's figures: what people would have entered. */
const EFFORT = {
  obtaining: { hours: 120, cost: 9000, currency: 'EUR' },
  verification: { hours: 40, cost: 3000, currency: 'EUR' },
  presentation: { hours: 16, cost: 1200, currency: 'EUR' },
  creation: { hours: 200, cost: 18000, currency: 'EUR' },
  labelling: { hours: 60, cost: 2400, currency: 'EUR' },
} as const;

const effortLine = (): string =>
  `Recorded effort (the story’s figures): ${Object.entries(EFFORT)
    .map(([bucket, { hours, cost }]) => `${bucket} ${hours} h, ${cost} EUR`)
    .join('; ')}.`;

async function recordTraining(room: Room, trained: Trained, data: string, folder: string): Promise<void> {
  const { table } = await readTable(data);
  const files = { data, model: path.join(folder, 'pump.onnx'), test: path.join(folder, 'pump.test.csv') };
  await writeFile(files.model, trained.model);
  await writeFile(files.test, tableCsv(table, trained.testRows));
  const machine = `${os.availableParallelism()} × ${os.cpus()[0]?.model.trim() ?? os.arch()}`;
  const requests = trainingAssets(trained, {
    ...files,
    name: 'pump.onnx',
    machine,
    facts: { effort: EFFORT, country: 'NL', confidentiality: { level: 'secret' } },
  });
  // Of the data people know what the trainer cannot see: the machines report from the customers' sites.
  const { creation: _, ...dataEffort } = EFFORT;
  await recordAssets(
    room,
    requests.map((one) =>
      one.kind === 'training-set'
        ? {
            ...one,
            facts: {
              ...one.facts,
              how: { way: 'connected-product' as const },
              effort: dataEffort,
              country: 'NL',
              confidentiality: { level: 'secret' as const },
            },
          }
        : one,
    ),
  );
}

function tellCheck(tell: Narrator, name: string, check: RoomCheck): void {
  tell.say(`${name}:`);
  for (const candidate of check.candidates) {
    const whose = candidate.release === null ? 'the original' : `the copy for ${candidate.recipient}`;
    const p = candidate.log10p === null ? '' : ` (${candidate.kind}, log10 p ${candidate.log10p.toFixed(1)})`;
    tell.say(`  ${whose}: ${candidate.verdict}${p}`);
    if (candidate.verdict === 'related') tell.say(`    done to it: ${candidate.tweaks.map(tweakText).join('; ')}`);
  }
  const [best] = check.candidates;
  if (best !== undefined) tell.say(`  ${best.reason}`);
}

function told(check: RoomCheck): Told {
  const best: Candidate | undefined = check.candidates[0];
  return {
    check: check.id,
    verdict: best?.verdict ?? 'inconclusive',
    recipient: best?.recipient ?? null,
    kind: best?.kind ?? null,
    log10p: best?.log10p ?? null,
    tweaks: (best?.tweaks ?? []).map((tweak) => tweak.kind),
  };
}

/** What an expert would have got another way: the maker's public keys. */
async function writeTrust(room: Room, file: string) {
  const keys = path.join(room.dir, 'log', 'keys');
  const [name] = await readdir(keys);
  const trust = {
    owners: [{ name: MAKER, key: await readFile(path.join(keys, name!), 'utf8') }],
    logs: [(await readFile(path.join(room.dir, 'log', 'log.vkey'), 'utf8')).trim()],
  };
  await writeFile(file, `${JSON.stringify(trust, null, 2)}\n`);
  return readTrust(file);
}

/** Changes one byte, verifies, and puts it back. */
async function tamper(folder: string): Promise<VerifyReport> {
  const file = path.join(folder, 'bundle', 'report.html');
  const whole = await readFile(file);
  const changed = Buffer.from(whole);
  changed[1000] = changed[1000]! ^ 1;
  await writeFile(file, changed);
  const report = await verifyBundle(path.join(folder, 'bundle'));
  await writeFile(file, whole);
  return report;
}
