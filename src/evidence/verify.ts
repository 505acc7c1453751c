/**
 * `verify`: checks a bundle offline, without the room and without onnxruntime. The steps are named; each says what it
 * checked and what it could not; none is skipped in silence.
 */
import { equalBytes, evidenceError, type MunimentError, toMunimentError, utf8 } from '../base/index.js';
import { type EvidenceLine, EXACT_LEVEL } from '../detect/index.js';
import { checkOrder, countChances, readStamps } from './acts.js';
import { type BundleAbout, bundlePaths, type Claims } from './bundle.js';
import { type CheckFact, checkShown } from './check-fact.js';
import { recomputeNumbers } from './numbers.js';
import {
  checkFiles,
  checkListSignature,
  type Opened,
  type Outcome,
  readAbout,
  readBytes,
  readCheckpoint,
  readKeys,
  readStatements,
} from './opened-bundle.js';
import type { GroupPoints } from './points.js';
import { recipeScript, recipeText } from './recipe.js';
import { checkGiven, type GivenFiles, type ReleaseAnswer, releaseSteps } from './release-steps.js';
import { REPORT_VERSION, reportHtml } from './report.js';
import { checkSuspectFile } from './suspect-file.js';
import type { Trust } from './trust.js';

export interface VerifyStep {
  readonly step: string;
  readonly outcome: Outcome;
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
  /** The release that the bundle opens keys of, and whether it was made again here; null where it opens none. */
  readonly release: ReleaseAnswer | null;
  readonly error: VerifyError | null;
}

export interface VerifyError {
  readonly code: string;
  readonly message: string;
  readonly expected?: string;
  readonly got?: string;
  readonly where?: string;
  readonly todo?: string;
}

export interface VerifyOptions extends GivenFiles {
  /** The examined file: ties the opened rows to it. */
  readonly suspect?: string;
}

/**
 * @throws `BUNDLE_NOT_ONE` where there is no bundle; `FILE_NOT_FOUND`, `RECOMPUTE_NOT_OPENED`, `RECOMPUTE_NO_BEACON` and
 *   `MARK_GRAPH_NEEDED` where the call does not fit the bundle; what a failing disk or network throws. All else is a report.
 */
export async function verifyBundle(
  dir: string,
  trust: Trust | null = null,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const { suspect } = options;
  await checkGiven(options, suspect);
  const steps: VerifyStep[] = [];
  let about: BundleAbout | null = null;
  let lines: readonly EvidenceLine[] = [];
  let numbers: VerifyReport['numbers'] = 'none';
  let claims: Claims | null = null;
  let plots: readonly GroupPoints[] = [];
  let release: ReleaseAnswer | null = null;
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
    const withheld = statements.reduce((sum, one) => sum + one.withheld, 0);
    holds(
      'log',
      `${statements.length} statements are signed, fit their schemas and are in the log of ${checkpoint.origin} (${checkpoint.size} entries)${withheld === 0 ? '' : `; ${withheld} fields of those that are opened are withheld`}`,
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
    const check = checkShown(about.about, statements);
    if (check !== null) {
      const counted = countChances(opened, check);
      steps.push({ step: 'multiplicity', outcome: counted.whole ? 'holds' : 'unknown', says: counted.says });
    }
    running = 'numbers';
    if (about.form === 'expert' && about.about.kind !== 'release') {
      const recomputed = await recomputeNumbers(opened, check);
      lines = recomputed.lines;
      claims = recomputed.claims;
      plots = recomputed.plots;
      if (suspect !== undefined) {
        running = 'suspect';
        await checkSuspectFile(suspect, recomputed.suspect, recomputed.check);
        holds('suspect', 'the opened rows are those of the file given, whose SHA-256 the check states');
      } else {
        unknown(
          'suspect',
          'that the opened rows are those of the examined file is the owner’s word: give the file with --suspect',
        );
      }
      numbers = 'recomputed';
      const says = lines.map((line) => `${line.test}: log10 p ${line.log10p.toFixed(2)} recomputed`).join('; ');
      const beyond = notBorneOut(recomputed.check, about.release, lines);
      if (beyond === null) holds('numbers', says);
      else unknown('numbers', `${says}; ${beyond}`);
    } else if (check !== null) {
      lines = check.candidates[0]?.lines ?? [];
      numbers = 'claimed';
      unknown('numbers', 'the numbers are claimed by the owner; only an expert bundle lets them be recomputed');
    }
    release = await releaseSteps(opened, options, {
      starts: (step) => {
        running = step;
      },
      holds,
      unknown,
    });
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
    // A bundle may be malformed in any way; a fault of the machine or of the call, or a folder that is no bundle, is not its fault.
    if (known.kind === 'environment' || known.kind === 'usage' || known.code === 'BUNDLE_NOT_ONE') throw known;
    steps.push({ step: running, outcome: 'fails', says: known.message });
    const { expected, got, where, todo } = known.facts;
    return {
      result: 'bad',
      says: `The bundle does not hold: ${known.message}.`,
      form: about?.form ?? null,
      about: about?.about ?? null,
      steps,
      numbers: 'none',
      lines: [],
      release: null,
      error: {
        code: known.code,
        message: known.message,
        ...(expected === undefined ? {} : { expected }),
        ...(got === undefined ? {} : { got }),
        ...(where === undefined ? {} : { where }),
        ...(todo === undefined ? {} : { todo }),
      },
    };
  }
  const { result, says } = conclude(steps, trust);
  return { result, says, form: about.form, about: about.about, steps, numbers, lines, release, error: null };
}

/** The verdict of a check rests on every batch and is the owner's word; null where the opened batch alone gives it too. */
function notBorneOut(check: CheckFact, release: string | null, lines: readonly EvidenceLine[]): string | null {
  const claimed = check.candidates.find((one) => one.release === release);
  const best = Math.min(...lines.map((line) => line.log10p));
  if (claimed?.verdict !== 'related' || best <= EXACT_LEVEL) return null;
  return `the check claims related (log10 p ${claimed.log10p?.toFixed(2)}) over all batches, which the opened one does not bear out`;
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
