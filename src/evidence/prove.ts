/** `prove`: a bundle that others verify without us. Built beside its place and renamed into it, so it is there whole or not at all. */
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  inputError,
  type Json,
  type MunimentError,
  secretBytes,
  toBase64,
  toHex,
  usageError,
  utf8,
} from '../base/index.js';

import {
  encodeEnvelope,
  formatProof,
  type LedgerStatement,
  ledgerPaths,
  parseCheckpoint,
  preAuthEncoding,
} from '../ledger/index.js';
import { collect, findStatement, registryOf } from '../record/index.js';
import { type Room, stampFile } from '../room/index.js';
import { BUNDLE_VERSION, type BundleAbout, bundlePaths } from './bundle.js';
import { type CheckFact, checkOf } from './check-fact.js';
import { DIGEST_LIST, DIGEST_LIST_SIGNATURE, digestsBelow, formatDigestList } from './digest-list.js';
import { type ExpertChoice, type ExpertPart, expertPart } from './expert.js';
import { unitPoints } from './points.js';
import { recipeScript, recipeText } from './recipe.js';
import { REPORT_VERSION, reportHtml } from './report.js';

export interface ProveRequest extends ExpertChoice {
  /** A check's id or statement, `last` for the latest check, or a model's name or digest. */
  readonly target: string;
  readonly out: string;
  readonly expert?: boolean;
}

export interface Proved {
  readonly dir: string;
  readonly form: BundleAbout['form'];
  readonly about: BundleAbout['about'];
  readonly statements: number;
  readonly tokens: number;
  /** The batch that is burnt from now on; null for a public bundle. */
  readonly opened: { readonly release: string; readonly batch: number } | null;
  readonly failures: readonly { readonly url: string; readonly error: MunimentError }[];
}

/** Larger logs are shown in part: the statements that matter, with proofs. */
const WHOLE_LOG = 10_000;

/** @throws `PROVE_OUT_EXISTS`, `PROVE_UNKNOWN`, `VAULT_LOCKED`, and `expertPart`'s */
export async function proveBundle(room: Room, request: ProveRequest): Promise<Proved> {
  if (await exists(request.out)) {
    throw usageError('PROVE_OUT_EXISTS', 'there is something in this place already', {
      where: request.out,
      todo: 'choose another --out',
    });
  }
  const before = await collect(room.ledger.statements());
  const target = targetOf(before, request.target);
  const part = request.expert === true ? await expertPart(room, before, checkFor(target), request) : null;
  if (part !== null) await recordOpening(room, part, checkFor(target));
  const { failures } = await room.stamp();
  const statements = await collect(room.ledger.statements());
  const checkpoint = (await room.ledger.checkpoint())!;
  const about = aboutOf(room, statements, target, part, checkpoint.size);
  const building = `${request.out}.${toHex(secretBytes(4))}.new`;
  try {
    await writeBundle(building, room, about, statements, checkpoint.note, target, part);
    await rename(building, request.out);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw error;
  }
  return {
    dir: request.out,
    form: about.form,
    about: about.about,
    statements: about.statements.length,
    tokens: about.tokens.length,
    opened: part === null ? null : { release: part.release.release, batch: part.expert.keys.batch },
    failures,
  };
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

type Target =
  | { readonly check: CheckFact; readonly model: null }
  | { readonly check: null; readonly model: LedgerStatement; readonly name: string };

function targetOf(statements: readonly LedgerStatement[], term: string): Target {
  const checks = statements.map(checkOf).filter((one) => one !== null);
  const check = (term === 'last' ? checks.at(-1) : checks.find((one) => one.check === term)) ?? null;
  if (check !== null) return { check, model: null };
  const registry = registryOf(statements);
  const named = [...registry.byName(term), ...registry.byDigest(term)].find((asset) => asset.kind === 'model');
  if (named !== undefined) return { check: null, model: statements[named.statement.index]!, name: named.name };
  const found = statements.some((one) => one.sha256.startsWith(term)) ? findStatement(statements, term) : null;
  const asCheck = found === null ? null : checkOf(found);
  if (asCheck !== null) return { check: asCheck, model: null };
  throw inputError('PROVE_UNKNOWN', 'neither a check nor a recorded model', {
    expected: 'the id of a check (c-…), last for the latest one, or the name or digest of a model',
    got: term,
    todo: 'muniment log lists both',
  });
}

function checkFor(target: Target): CheckFact {
  if (target.check !== null) return target.check;
  throw usageError('PROVE_EXPERT_NEEDS_CHECK', 'an expert bundle is about a check', {
    got: target.name,
    todo: 'muniment check SUSPECT first, then prove its id with --expert',
  });
}

/** Before anything is shown: an opening that is not on record could be denied later. */
async function recordOpening(room: Room, part: ExpertPart, check: CheckFact): Promise<void> {
  const { release, batch } = part.expert.keys;
  await room.ledger.append([{ kind: 'opening', subjects: [], predicate: { release, batch, check: check.check } }]);
}

function aboutOf(
  room: Room,
  statements: readonly LedgerStatement[],
  target: Target,
  part: ExpertPart | null,
  size: number,
): BundleAbout {
  const wholeLog = part !== null && size <= WHOLE_LOG;
  const shown = wholeLog ? statements : relevant(statements, target, part);
  return {
    version: BUNDLE_VERSION,
    form: part === null ? 'public' : 'expert',
    made: room.clock.now().toISOString(),
    about:
      target.check === null
        ? { kind: 'model', id: target.model.sha256, name: target.name }
        : { kind: 'check', id: target.check.check, name: target.check.suspect.name },
    statements: shown.map((one) => one.sha256),
    tokens: statements.filter((one) => one.kind === 'timestamp').map((one) => String(one.predicate.token)),
    wholeLog,
    report: REPORT_VERSION,
    release: part?.release.release ?? null,
  };
}

/** What the target rests on: the room's keys, the check, each related release with its commitment, the model and all it links to, every stamp. */
function relevant(
  statements: readonly LedgerStatement[],
  target: Target,
  part: ExpertPart | null,
): readonly LedgerStatement[] {
  const wanted = new Set<string>();
  const registry = registryOf(statements);
  const addModel = (digest: string): void => {
    for (const asset of registry.byDigest(digest)) {
      if (wanted.has(asset.statement.sha256)) continue;
      for (const one of asset.history) wanted.add(one.sha256);
      for (const link of asset.links) addModel(link.sha256);
    }
  };
  for (const one of statements) if (one.kind === 'room-opened' || one.kind === 'timestamp') wanted.add(one.sha256);
  if (target.check === null) addModel(target.model.sha256);
  else {
    wanted.add(target.check.statement.sha256);
    const releases = new Set(
      target.check.candidates.filter((c) => c.verdict === 'related' && c.release !== null).map((c) => c.release),
    );
    if (part !== null) releases.add(part.release.release);
    for (const one of statements) {
      if (
        (one.kind === 'release' || one.kind === 'release-commitment') &&
        releases.has(one.predicate.release as string)
      ) {
        wanted.add(one.sha256);
        addModel(String((one.predicate.model as { sha256?: Json })?.sha256));
      }
      if (one.kind === 'opening' && part !== null) wanted.add(one.sha256);
    }
  }
  return statements.filter((one) => wanted.has(one.sha256));
}

async function writeBundle(
  dir: string,
  room: Room,
  about: BundleAbout,
  statements: readonly LedgerStatement[],
  note: string,
  target: Target,
  part: ExpertPart | null,
): Promise<void> {
  const write = async (file: string, bytes: Uint8Array | string): Promise<void> => {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), bytes);
  };
  const json = (file: string, value: unknown): Promise<void> => write(file, `${JSON.stringify(value)}\n`);
  const shown = statements.filter((one) => about.statements.includes(one.sha256));
  const open = new Set(relevant(statements, target, part).map((one) => one.sha256));
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
  const plots = part === null ? [] : await unitPoints(part);
  const keyId = shown[0]?.signerKeyId ?? '';
  await write(bundlePaths.recipe, recipeText(about, keyId));
  await write(bundlePaths.script, recipeScript(about, keyId));
  await write(
    bundlePaths.report,
    reportHtml({
      about,
      statements: shown.filter((one) => open.has(one.sha256)),
      check: target.check,
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
