/**
 * `verify`: checks a bundle offline, without the room and without onnxruntime. The steps are named; each says what it
 * checked and what it could not; none is skipped in silence.
 */
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  equalBytes,
  evidenceError,
  fromBase64,
  fromUtf8,
  inputError,
  type MunimentError,
  parseStrictJson,
  sha256,
  sha256Hex,
  toMunimentError,
  utf8,
} from '../base/index.js';
import type { EvidenceLine } from '../detect/index.js';
import {
  type Checkpoint,
  checkPredicate,
  decodeEnvelope,
  decodeOpenings,
  entryOf,
  openFields,
  parseCheckpoint,
  parseVerifierKey,
  preAuthEncoding,
  readPayload,
  verifyBeacon,
  verifyConsistency,
  verifyEnvelope,
  verifyNote,
  verifyProof,
  verifyTimestamp,
} from '../ledger/index.js';
import {
  type CommitmentFact,
  commitmentsOf,
  drandRecord,
  type ReleaseFact,
  releasesOf,
  timestampRecord,
} from '../mark/index.js';
import type { StatementView } from '../record/index.js';
import { type BundleAbout, bundlePaths, type Claims, type Expert, MAX_JSON_BYTES } from './bundle.js';
import { type CheckFact, checkOf } from './check-fact.js';
import { compareDigestList, DIGEST_LIST, DIGEST_LIST_SIGNATURE, parseDigestList } from './digest-list.js';
import { expertMultiplicity } from './multiplicity.js';
import { type GroupPoints, unitPoints } from './points.js';
import { recipeScript, recipeText } from './recipe.js';
import { recompute } from './recompute.js';
import { REPORT_VERSION, reportHtml } from './report.js';
import type { Trust } from './trust.js';

export interface VerifyStep {
  readonly step: string;
  /** `unknown`: could not be checked here, and why. */
  readonly outcome: 'holds' | 'fails' | 'unknown';
  readonly says: string;
}

export interface VerifyReport {
  /** `verified`: under the trust file. `consistent`: internally; identity and time are self-asserted. `bad`: something fails. */
  readonly result: 'verified' | 'consistent' | 'bad';
  readonly says: string;
  readonly form: BundleAbout['form'] | null;
  readonly about: BundleAbout['about'] | null;
  readonly steps: readonly VerifyStep[];
  /** Recomputed, in an expert bundle; in a public one the claimed ones. */
  readonly numbers: 'recomputed' | 'claimed' | 'none';
  readonly lines: readonly EvidenceLine[];
  readonly error: { readonly code: string; readonly message: string; readonly where?: string } | null;
}

/** What the steps pass on to each other. */
interface Opened {
  readonly dir: string;
  readonly trust: Trust | null;
  readonly about: BundleAbout;
  readonly listed: ReadonlySet<string>;
  readonly checkpoint: Checkpoint;
  readonly note: string;
  readonly keys: ReadonlyMap<string, string>;
  readonly statements: readonly Shown[];
}

interface Shown extends StatementView {
  readonly opened: boolean;
}

interface VerifiedStamp {
  readonly token: string;
  readonly time: Date;
  readonly authority: string;
  readonly size: number;
}

export async function verifyBundle(dir: string, trust: Trust | null = null): Promise<VerifyReport> {
  const steps: VerifyStep[] = [];
  let about: BundleAbout | null = null;
  let lines: readonly EvidenceLine[] = [];
  let numbers: VerifyReport['numbers'] = 'none';
  let claims: Claims | null = null;
  let plots: readonly GroupPoints[] = [];
  const holds = (step: string, says: string): void => void steps.push({ step, outcome: 'holds', says });
  const unknown = (step: string, says: string): void => void steps.push({ step, outcome: 'unknown', says });
  let running = 'files';
  try {
    const listed = await checkFiles(dir);
    holds('files', `${listed.size} files are exactly those of the digest list`);
    running = 'bundle';
    about = await readAbout(dir);
    running = 'identity';
    const keys = await readKeys(dir, listed, trust);
    await checkListSignature(dir, keys);
    if (trust === null) unknown('identity', 'no trust file: the keys are those that the bundle itself names');
    else
      holds(
        'identity',
        `signed by ${trust.owners.map((owner) => owner.name).join(', ')}, whose key the trust file names`,
      );
    running = 'log';
    const { checkpoint, note } = await readCheckpoint(dir, trust);
    const statements = await readStatements(dir, about, keys, checkpoint, note, listed);
    holds(
      'log',
      `${statements.length} statements are signed, fit their schemas and are in the log of ${checkpoint.origin} (${checkpoint.size} entries)`,
    );
    const opened: Opened = { dir, trust, about, listed, checkpoint, note, keys, statements };
    running = 'time';
    const stamps = await readStamps(opened);
    if (stamps.length === 0) unknown('time', 'no outside time stamp: time is self-asserted');
    else if (trust === null || trust.authorities.length === 0)
      unknown('time', `${stamps.length} stamps lead to the root that the bundle itself names; no trust file names one`);
    else
      holds(
        'time',
        stamps
          .map((stamp) => `${stamp.size} entries existed by ${stamp.time.toISOString()} (${stamp.authority})`)
          .join('; '),
      );
    running = 'order of acts';
    const [orderOutcome, orderSays] = checkOrder(opened, stamps);
    steps.push({ step: 'order of acts', outcome: orderOutcome, says: orderSays });
    running = 'multiplicity';
    const check = statements.map(checkOf).find((one) => one !== null) ?? null;
    if (check !== null) {
      const counted = countChances(opened, check);
      steps.push({ step: 'multiplicity', outcome: counted.whole ? 'holds' : 'unknown', says: counted.says });
    }
    running = 'numbers';
    if (about.form === 'expert') {
      const recomputed = await recomputeNumbers(opened, check);
      lines = recomputed.lines;
      claims = recomputed.claims;
      plots = recomputed.plots;
      numbers = 'recomputed';
      holds('numbers', lines.map((line) => `${line.test}: log10 p ${line.log10p.toFixed(2)} recomputed`).join('; '));
    } else if (check !== null) {
      lines = check.candidates[0]?.lines ?? [];
      numbers = 'claimed';
      unknown('numbers', 'the numbers are claimed by the owner; only an expert bundle lets them be recomputed');
    }
    running = 'report';
    if (about.report !== REPORT_VERSION) {
      unknown('report', 'report.html was rendered by another version: compare it with the statements yourself');
    } else {
      const shown = statements.filter((one) => one.opened);
      await checkRendered(dir, bundlePaths.report, reportHtml({ about, statements: shown, check, claims, plots }));
      await checkRecipe(dir, about, listed);
      holds(
        'report',
        'report.html, README.txt and verify.sh are what the statements and numbers here give, word for word',
      );
    }
  } catch (error) {
    const known = faultOf(error, running);
    // An evidence folder may be malformed in any way; only a fault of the machine is not the bundle's.
    if (known.kind === 'environment') throw error;
    steps.push({ step: running, outcome: 'fails', says: known.message });
    const where = known.facts.where;
    return {
      result: 'bad',
      says: `The bundle does not hold: ${known.message}.`,
      form: about?.form ?? null,
      about: about?.about ?? null,
      steps,
      numbers: 'none',
      lines: [],
      error: { code: known.code, message: known.message, ...(where === undefined ? {} : { where }) },
    };
  }
  const { result, says } = conclude(steps, trust);
  return { result, says, form: about.form, about: about.about, steps, numbers, lines, error: null };
}

/** JSON of the wrong shape shows itself as a TypeError where it is used: a fault of the bundle, not of the machine. */
const faultOf = (error: unknown, step: string): MunimentError =>
  error instanceof TypeError || error instanceof RangeError
    ? evidenceError('BUNDLE_MALFORMED', `the data for the step ${step} have the wrong form`, { cause: error })
    : toMunimentError(error);

function conclude(steps: readonly VerifyStep[], trust: Trust | null): Pick<VerifyReport, 'result' | 'says'> {
  if (trust === null) return { result: 'consistent', says: 'Internally consistent; identity and time self-asserted.' };
  const open = steps.filter((step) => step.outcome === 'unknown').map((step) => `${step.step}: ${step.says}`);
  return {
    result: 'verified',
    says:
      open.length === 0
        ? 'Verified under the trust file.'
        : `Verified under the trust file, except: ${open.join('; ')}.`,
  };
}

const readBytes = async (dir: string, file: string): Promise<Uint8Array> =>
  Uint8Array.from(await readFile(path.join(dir, file)));

async function readJson<T>(dir: string, file: string): Promise<T> {
  const bytes = await readBytes(dir, file);
  if (bytes.length > MAX_JSON_BYTES)
    throw evidenceError('BUNDLE_TOO_LARGE', 'a file of the bundle is longer than any real one', { where: file });
  return parseStrictJson(fromUtf8(bytes, file), file) as unknown as T;
}

async function checkFiles(dir: string): Promise<ReadonlySet<string>> {
  let text: string;
  try {
    text = fromUtf8(await readBytes(dir, DIGEST_LIST), DIGEST_LIST);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT' && (cause as NodeJS.ErrnoException).code !== 'ENOTDIR')
      throw cause;
    throw inputError('BUNDLE_NOT_ONE', 'this is no bundle', {
      expected: `a folder with ${DIGEST_LIST}`,
      where: dir,
      todo: 'name the folder that muniment prove made',
    });
  }
  const listed = parseDigestList(text);
  const { changed, missing, unlisted } = await compareDigestList(dir, listed);
  const first = changed[0] ?? missing[0] ?? unlisted[0];
  if (first !== undefined) {
    throw evidenceError(
      'BUNDLE_FILE_CHANGED',
      `a file ${changed.length > 0 ? 'is not what was listed' : missing.length > 0 ? 'is missing' : 'was added'}`,
      { where: first },
    );
  }
  return new Set(listed.map((entry) => entry.path));
}

async function readAbout(dir: string): Promise<BundleAbout> {
  const about = await readJson<BundleAbout>(dir, bundlePaths.about);
  if (about.version !== 1)
    throw evidenceError('BUNDLE_VERSION', 'the bundle has a version that is not known here', {
      expected: '1',
      got: String(about.version),
      where: bundlePaths.about,
    });
  return about;
}

/** Keys that may sign: the trust file's, or without one those in the bundle. */
async function readKeys(
  dir: string,
  listed: ReadonlySet<string>,
  trust: Trust | null,
): Promise<ReadonlyMap<string, string>> {
  if (trust !== null) return new Map(trust.owners.map((owner) => [owner.keyId, owner.key]));
  const files = [...listed].filter((file) => /^keys\/[0-9a-f]{64}\.pem$/.test(file));
  return new Map(
    await Promise.all(
      files.map(async (file) => [file.slice(5, 69), fromUtf8(await readBytes(dir, file), file)] as const),
    ),
  );
}

async function checkListSignature(dir: string, keys: ReadonlyMap<string, string>): Promise<void> {
  const [list, signature] = [await readBytes(dir, DIGEST_LIST), await readBytes(dir, DIGEST_LIST_SIGNATURE)];
  for (const pem of keys.values()) {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ec' && verifySignature('sha256', list, key, signature)) return;
  }
  throw evidenceError('BUNDLE_SIGNATURE', 'the digest list is not signed by a key that counts here', {
    expected: [...keys.keys()].map((id) => id.slice(0, 16)).join(', ') || 'a key',
    where: DIGEST_LIST_SIGNATURE,
    todo: 'with a trust file, check that it names this owner’s key',
  });
}

async function readCheckpoint(dir: string, trust: Trust | null): Promise<{ checkpoint: Checkpoint; note: string }> {
  const note = fromUtf8(await readBytes(dir, bundlePaths.checkpoint), bundlePaths.checkpoint);
  const text = verifyNote(note, await logKeys(dir, trust), bundlePaths.checkpoint);
  return { checkpoint: parseCheckpoint(text, bundlePaths.checkpoint), note };
}

async function logKeys(dir: string, trust: Trust | null) {
  const own = fromUtf8(await readBytes(dir, bundlePaths.logKey), bundlePaths.logKey);
  return (trust === null ? [own] : trust.logs).map(parseVerifierKey);
}

async function readStatements(
  dir: string,
  about: BundleAbout,
  keys: ReadonlyMap<string, string>,
  checkpoint: Checkpoint,
  note: string,
  listed: ReadonlySet<string>,
): Promise<readonly Shown[]> {
  const verifier = verifyNoteOnce(note);
  const shown: Shown[] = [];
  for (const name of about.statements) {
    const where = bundlePaths.envelope(name);
    const bytes = await readBytes(dir, where);
    if (sha256Hex(bytes) !== name)
      throw evidenceError('STATEMENT_CHANGED', 'a statement is not what its name says', { where });
    const envelope = decodeEnvelope(bytes, where);
    const key = keys.get(envelope.keyId);
    if (key === undefined)
      throw evidenceError('STATEMENT_UNKNOWN_SIGNER', 'a statement is signed by a key that does not count here', {
        got: envelope.keyId,
        where,
      });
    if (!verifyEnvelope(envelope, key))
      throw evidenceError('STATEMENT_SIGNATURE', 'the signature of a statement is wrong', { where });
    const derived = [
      [bundlePaths.signed(name), preAuthEncoding(envelope.payloadType, envelope.payload)],
      [bundlePaths.signature(name), envelope.signature],
    ] as const;
    for (const [file, expected] of derived) {
      if (!equalBytes(await readBytes(dir, file), expected))
        throw evidenceError('BUNDLE_DERIVED', 'a file for openssl is not what the statement holds', { where: file });
    }
    const payload = readPayload(envelope.payload, where);
    const isOpen = listed.has(bundlePaths.openings(name));
    const opened = openFields(
      payload,
      isOpen ? decodeOpenings(await readBytes(dir, bundlePaths.openings(name)), bundlePaths.openings(name)) : {},
      where,
    );
    checkPredicate(payload.kind, opened.predicate, opened.withheld.length === 0);
    const proofText = fromUtf8(await readBytes(dir, bundlePaths.proof(name)), bundlePaths.proof(name));
    const { index } = verifier(proofText, entryOf(bytes), bundlePaths.proof(name), await logKeysOf(dir));
    if (index >= checkpoint.size)
      throw evidenceError('PROOF_WRONG', 'a statement lies beyond the checkpoint', { where });
    shown.push({
      index,
      sha256: name,
      kind: payload.kind,
      subjects: payload.subjects,
      predicate: opened.predicate,
      time: payload.time,
      opened: isOpen,
    });
  }
  return shown.sort((a, b) => a.index - b.index);
}

const logKeysOf = async (dir: string) => [parseVerifierKey(fromUtf8(await readBytes(dir, bundlePaths.logKey)))];

/** Every proof must carry the bundle's own checkpoint, whose signature was checked against the keys that count. */
const verifyNoteOnce =
  (note: string) =>
  (text: string, entry: Uint8Array, where: string, verifiers: ReturnType<typeof parseVerifierKey>[]) => {
    if (!text.endsWith(`\n\n${note}`))
      throw evidenceError('PROOF_WRONG', 'a proof is for another checkpoint than the bundle’s', { where });
    return verifyProof(text, entry, verifiers, where);
  };

/** Each token over its checkpoint, that checkpoint signed by the log, and the log extending it. */
async function readStamps({ dir, trust, about, checkpoint, statements }: Opened): Promise<readonly VerifiedStamp[]> {
  const stated = statements.filter((one) => one.kind === 'timestamp');
  const stamps: VerifiedStamp[] = [];
  for (const token of about.tokens) {
    const where = bundlePaths.token(token);
    const note = fromUtf8(await readBytes(dir, bundlePaths.stamped(token)), bundlePaths.stamped(token));
    const response = await readBytes(dir, where);
    const roots =
      trust !== null && trust.authorities.length > 0
        ? trust.authorities
        : certificatesIn(fromUtf8(await readBytes(dir, bundlePaths.roots)));
    const { time, authority, token: digest } = verifyTimestamp(response, sha256(utf8(note)), roots, { where });
    const older = parseCheckpoint(
      verifyNote(note, await logKeys(dir, trust), bundlePaths.stamped(token)),
      bundlePaths.stamped(token),
    );
    const extension = fromUtf8(await readBytes(dir, bundlePaths.extends(token)))
      .split('\n')
      .slice(0, -1)
      .map(fromBase64);
    if (
      digest !== token ||
      older.origin !== checkpoint.origin ||
      !verifyConsistency(older.size, checkpoint.size, extension, older.root, checkpoint.root)
    ) {
      throw evidenceError('LOG_FORK', 'the log does not extend the checkpoint that was stamped', { where });
    }
    if (!stated.some((one) => one.predicate.token === token))
      throw evidenceError('STAMP_NOT_LOGGED', 'a stamp is not in the log', { where });
    stamps.push({ token, time, authority, size: older.size });
  }
  return stamps;
}

const certificatesIn = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];

/** theory §1: commitment, stamp, beacon, release, in this order, or the assumption says what is missing. */
function checkOrder(
  { statements, trust }: Opened,
  stamps: readonly VerifiedStamp[],
): readonly [VerifyStep['outcome'], string] {
  const releases = releasesOf(statements).filter((one) => typeof one.release === 'string');
  if (releases.length === 0) return ['unknown', 'no release is shown'];
  const said: string[] = [];
  let outcome: VerifyStep['outcome'] = 'holds';
  for (const release of releases) {
    const commitment = commitmentsOf(statements).find((one) => one.release === release.release);
    if (
      commitment === undefined ||
      commitment.statement.sha256 !== release.commitment ||
      commitment.statement.index >= release.statement.index
    ) {
      throw evidenceError('ORDER_OF_ACTS', 'a release was not committed before it was made', {
        where: release.release,
      });
    }
    const first = stamps
      .filter((stamp) => stamp.size > commitment.statement.index)
      .reduce<VerifiedStamp | null>((best, one) => (best === null || one.time < best.time ? one : best), null);
    said.push(
      `${release.release}: committed (entry ${commitment.statement.index})${first === null ? '' : `, stamped ${first.time.toISOString()}`}, ${checkBeacon(release, commitment, first, stamps, trust)}, released (entry ${release.statement.index})`,
    );
    if (release.beacon.kind === 'none') outcome = 'unknown';
  }
  return [outcome, said.join('; ')];
}

function checkBeacon(
  release: ReleaseFact,
  commitment: CommitmentFact,
  first: VerifiedStamp | null,
  stamps: readonly VerifiedStamp[],
  trust: Trust | null,
): string {
  const { beacon } = release;
  const wrong = (what: string): never => {
    throw evidenceError('ORDER_OF_ACTS', what, { where: release.release });
  };
  if (beacon.kind === 'none') return 'no outside value: the owner drew honestly is assumed';
  if (beacon.kind === 'timestamp') {
    const stamp = stamps.find((one) => one.token === beacon.token);
    if (stamp === undefined || stamp.size <= commitment.statement.index)
      return wrong('the time-stamp token that a release is bound to does not cover its commitment');
    const expected = timestampRecord(
      { authority: stamp.authority, time: stamp.time.toISOString(), token: stamp.token },
      beacon.choices,
    );
    if (expected.value !== beacon.value) return wrong('a release is bound to another value than its token gives');
    return `bound to token ${beacon.token.slice(0, 12)}… (${beacon.choices} requested)`;
  }
  const chain = trust?.beacons.find((one) => one.hash === beacon.chain);
  const round = verifyBeacon({ round: beacon.round, signature: beacon.signature }, chain, release.release);
  const expected = drandRecord({ ...round, first: beacon.round }, beacon.stamped);
  if (expected.value !== beacon.value) return wrong('a release is bound to another value than its beacon round gives');
  if (beacon.stamped && (first === null || round.time <= first.time))
    return wrong('the beacon round was published before the commitment was stamped');
  return `bound to beacon round ${beacon.round} of ${round.time.toISOString()}`;
}

/** Where the whole log is shown, releases and looks are counted from the kinds of all its entries. */
function countChances({ about, checkpoint, statements }: Opened, check: CheckFact): { whole: boolean; says: string } {
  const claimed = `${check.chances} releases and look ${check.look}`;
  const whole =
    about.wholeLog && statements.length === checkpoint.size && statements.every((one, i) => one.index === i);
  if (about.wholeLog && !whole)
    throw evidenceError('BUNDLE_LOG_INCOMPLETE', 'the bundle claims to show the whole log, and does not', {
      expected: `${checkpoint.size} statements`,
      got: String(statements.length),
    });
  if (!whole) return { whole, says: `${claimed} are the owner’s count: the whole log is not shown` };
  const before = statements.filter((one) => one.index < check.statement.index);
  const commitments = before.filter((one) => one.kind === 'release-commitment').length;
  const looks = before.filter((one) => one.kind === 'check').length + 1;
  if (check.chances < commitments || check.look !== looks) {
    throw evidenceError('BUNDLE_MULTIPLICITY', 'the log holds more releases or looks than were corrected for', {
      expected: `at least ${commitments} releases, look ${looks}`,
      got: claimed,
    });
  }
  return { whole, says: `${claimed}, counted from all ${checkpoint.size} entries` };
}

/** What people read in a bundle is a function of what was checked; an owner cannot have it say more. */
async function checkRendered(dir: string, file: string, expected: string): Promise<void> {
  if (equalBytes(await readBytes(dir, file), utf8(expected))) return;
  throw evidenceError('BUNDLE_REPORT', 'a file for reading says something else than the bundle holds', { where: file });
}

async function checkRecipe(dir: string, about: BundleAbout, listed: ReadonlySet<string>): Promise<void> {
  const keyId = [...listed].flatMap((file) => /^keys\/([0-9a-f]{64})\.pem$/.exec(file)?.[1] ?? [])[0] ?? '';
  await checkRendered(dir, bundlePaths.recipe, recipeText(about, keyId));
  await checkRendered(dir, bundlePaths.script, recipeScript(about, keyId));
}

interface RecomputedNumbers {
  readonly lines: readonly EvidenceLine[];
  readonly claims: Claims;
  readonly plots: readonly GroupPoints[];
}

async function recomputeNumbers(
  { dir, about, statements }: Opened,
  check: CheckFact | null,
): Promise<RecomputedNumbers> {
  const release = releasesOf(statements).find((one) => one.release === about.release);
  const commitment = commitmentsOf(statements).find((one) => one.release === about.release);
  if (check === null || release === undefined || commitment === undefined) {
    throw evidenceError('BUNDLE_INCOMPLETE', 'an expert bundle must show its check, its release and its commitment', {
      where: about.about.id,
    });
  }
  const expert: Expert = {
    claims: await readJson(dir, bundlePaths.claims),
    keys: await readJson(dir, bundlePaths.keys),
    original: await readJson(dir, bundlePaths.original),
    suspect: await readJson(dir, bundlePaths.suspect),
    alignment: await readJson(dir, bundlePaths.alignment),
  };
  const { batch } = expert.keys;
  const logged = statements.some(
    (one) =>
      one.kind === 'opening' &&
      one.predicate.release === release.release &&
      one.predicate.batch === batch &&
      one.predicate.check === check.check,
  );
  if (!logged)
    throw evidenceError('BUNDLE_OPENING', 'the opening of this batch is not in the log', {
      got: `batch ${batch}`,
      where: release.release,
    });
  const multiplicity = expertMultiplicity(check, commitment.plan.batches);
  const { lines } = await recompute(expert, commitment, release, check.suspect, multiplicity);
  return {
    lines,
    claims: { ...expert.claims, ...multiplicity, lines },
    plots: await unitPoints({ expert, commitment, release }),
  };
}
