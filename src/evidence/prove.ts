/** `prove`: a bundle that others verify without us. Built beside its place and renamed into it, so it is there whole or not at all. */
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type MunimentError, secretBytes, toBase64, toHex, usageError, utf8 } from '../base/index.js';
import {
  encodeEnvelope,
  formatProof,
  type LedgerStatement,
  ledgerPaths,
  parseCheckpoint,
  preAuthEncoding,
} from '../ledger/index.js';
import { collect } from '../record/index.js';
import { type Room, stampFile } from '../room/index.js';
import { BUNDLE_VERSION, type BundleAbout, bundlePaths } from './bundle.js';
import { DIGEST_LIST, DIGEST_LIST_SIGNATURE, digestsBelow, formatDigestList } from './digest-list.js';
import type { ExpertChoice } from './expert.js';
import { type Opening, openingOf, recordOpening } from './opening.js';
import { unitPoints } from './points.js';
import { recipeScript, recipeText } from './recipe.js';
import { REPORT_VERSION, reportHtml } from './report.js';
import { relevant, type Target, targetOf } from './target.js';

export interface ProveRequest extends ExpertChoice {
  /** A check's id or statement, `last` for the latest check, a release's id, or a model's name or digest. */
  readonly target: string;
  readonly out: string;
  readonly expert?: boolean;
  /** Opens every batch of the release, so that others can recompute it; no key of it is left for another court. */
  readonly allBatches?: boolean;
}

export interface Proved {
  readonly dir: string;
  readonly form: BundleAbout['form'];
  readonly about: BundleAbout['about'];
  readonly statements: number;
  readonly tokens: number;
  /** The batches that are burnt from now on; null for a public bundle. */
  readonly opened: { readonly release: string; readonly batches: readonly number[]; readonly all: boolean } | null;
  readonly failures: readonly { readonly url: string; readonly error: MunimentError }[];
}

/** Larger logs are shown in part: the statements that matter, with proofs. */
const WHOLE_LOG = 10_000;

/** @throws `PROVE_OUT_EXISTS`, `PROVE_UNKNOWN`, `PROVE_RELEASE_WHOLE`, `VAULT_LOCKED`, and `expertPart`'s */
export async function proveBundle(room: Room, request: ProveRequest): Promise<Proved> {
  if (await exists(request.out)) {
    throw usageError('PROVE_OUT_EXISTS', 'there is something in this place already', {
      where: request.out,
      todo: 'choose another --out',
    });
  }
  const before = await collect(room.ledger.statements());
  const target = targetOf(before, request.target);
  const opening = await openingOf(room, before, target, request);
  if (opening !== null) await recordOpening(room, opening, target);
  const { failures } = await room.stamp();
  const statements = await collect(room.ledger.statements());
  const checkpoint = (await room.ledger.checkpoint())!;
  const about = aboutOf(room, statements, target, opening, checkpoint.size);
  const building = `${request.out}.${toHex(secretBytes(4))}.new`;
  try {
    await writeBundle(building, room, about, statements, checkpoint.note, target, opening);
    await rename(building, request.out);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw error;
  }
  const { form, allBatches: all } = about;
  return {
    dir: request.out,
    form,
    about: about.about,
    statements: about.statements.length,
    tokens: about.tokens.length,
    opened: opening === null ? null : { release: opening.release, batches: opening.batches, all },
    failures,
  };
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

function aboutOf(
  room: Room,
  statements: readonly LedgerStatement[],
  target: Target,
  opening: Opening | null,
  size: number,
): BundleAbout {
  // Releases and looks are counted for a check; a release opened whole rests on its own statements alone.
  const wholeLog = opening !== null && opening.part !== null && size <= WHOLE_LOG;
  const shown = wholeLog ? statements : relevant(statements, target, opening?.release ?? null);
  return {
    version: BUNDLE_VERSION,
    form: opening === null ? 'public' : 'expert',
    made: room.clock.now().toISOString(),
    about: nameOf(target),
    statements: shown.map((one) => one.sha256),
    tokens: statements.filter((one) => one.kind === 'timestamp').map((one) => String(one.predicate.token)),
    wholeLog,
    report: REPORT_VERSION,
    release: opening?.release ?? null,
    allBatches: opening !== null && opening.whole !== null,
  };
}

function nameOf(target: Target): BundleAbout['about'] {
  switch (target.kind) {
    case 'check':
      return { kind: 'check', id: target.check.check, name: target.check.suspect.name };
    case 'model':
      return { kind: 'model', id: target.model.sha256, name: target.name };
    case 'release':
      return { kind: 'release', id: target.release.release, name: target.release.model.name };
  }
}

async function writeBundle(
  dir: string,
  room: Room,
  about: BundleAbout,
  statements: readonly LedgerStatement[],
  note: string,
  target: Target,
  opening: Opening | null,
): Promise<void> {
  const part = opening?.part ?? null;
  const write = async (file: string, bytes: Uint8Array | string): Promise<void> => {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), bytes);
  };
  const json = (file: string, value: unknown): Promise<void> => write(file, `${JSON.stringify(value)}\n`);
  const shown = statements.filter((one) => about.statements.includes(one.sha256));
  const open = new Set(relevant(statements, target, opening?.release ?? null).map((one) => one.sha256));
  await json(bundlePaths.about, about);
  await write(bundlePaths.checkpoint, note);
  await write(bundlePaths.logKey, await readFile(ledgerPaths.logKey(room.dir)));
  const { size } = parseCheckpoint(note.slice(0, note.lastIndexOf('\n\n') + 1), 'checkpoint');
  for (const one of shown) await writeStatement(write, room, one, size, note, open.has(one.sha256));
  await writeStamps(write, room, statements, about, size);
  if (part !== null) {
    const { claims, keys, original, suspect, alignment } = part.expert;
    await json(bundlePaths.claims, claims);
    await json(bundlePaths.keys, keys);
    await json(bundlePaths.original, original);
    await json(bundlePaths.suspect, suspect);
    await json(bundlePaths.alignment, alignment);
  }
  if (opening !== null && opening.whole !== null) await json(bundlePaths.release, opening.whole);
  const plots = part === null ? [] : await unitPoints(part);
  const keyId = shown[0]?.signerKeyId ?? '';
  await write(bundlePaths.recipe, recipeText(about, keyId));
  await write(bundlePaths.script, recipeScript(about, keyId));
  await write(
    bundlePaths.report,
    reportHtml({
      about,
      statements: shown.filter((one) => open.has(one.sha256)),
      check: target.kind === 'check' ? target.check : null,
      claims: part?.expert.claims ?? null,
      plots,
    }),
  );
  const list = utf8(formatDigestList(await digestsBelow(dir)));
  await write(DIGEST_LIST, list);
  await write(DIGEST_LIST_SIGNATURE, room.ledger.sign(list));
}

type Write = (file: string, bytes: Uint8Array | string) => Promise<void>;

async function writeStatement(
  write: Write,
  room: Room,
  one: LedgerStatement,
  size: number,
  note: string,
  open: boolean,
): Promise<void> {
  const { envelope } = one;
  await write(bundlePaths.envelope(one.sha256), encodeEnvelope(envelope));
  if (open) await write(bundlePaths.openings(one.sha256), await readFile(ledgerPaths.openings(room.dir, one.sha256)));
  await write(
    bundlePaths.proof(one.sha256),
    formatProof(one.index, await room.ledger.inclusionProof(one.index, size), note),
  );
  await write(bundlePaths.signed(one.sha256), preAuthEncoding(envelope.payloadType, envelope.payload));
  await write(bundlePaths.signature(one.sha256), envelope.signature);
  await write(bundlePaths.key(one.signerKeyId), await readFile(ledgerPaths.statementKey(room.dir, one.signerKeyId)));
}

/** Each token with the checkpoint that it is over, and the proof that today's log extends it. */
async function writeStamps(
  write: Write,
  room: Room,
  statements: readonly LedgerStatement[],
  about: BundleAbout,
  size: number,
): Promise<void> {
  for (const one of statements.filter((s) => s.kind === 'timestamp')) {
    const { token, checkpoint, size: older } = one.predicate as { token: string; checkpoint: string; size: number };
    if (!about.tokens.includes(token)) continue;
    await write(bundlePaths.token(token), await readFile(stampFile(room.dir, token)));
    await write(bundlePaths.stamped(token), checkpoint);
    const proof = await room.ledger.consistencyProof(older, size);
    await write(bundlePaths.extends(token), proof.map((hash) => `${toBase64(hash)}\n`).join(''));
  }
  if (room.config.tsa.length > 0) await write(bundlePaths.roots, room.config.tsa.map((one) => one.root).join(''));
}
