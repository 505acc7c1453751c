/**
 * The report of a bundle: one self-contained HTML page, in plain words, every number with its method and its limits.
 * A pure function of what the bundle holds: `verify` renders it again and compares, so that it cannot say anything else.
 */
import { escapeXml as e } from '../base/index.js';
import type { Candidate, EvidenceLine } from '../detect/index.js';
import { JITTER, tweakText } from '../detect/index.js';
import { commitmentsOf, releasesOf } from '../mark/index.js';
import type { StatementView } from '../record/index.js';
import { earliestStamp, stampsOf } from '../room/index.js';
import type { BundleAbout, Claims } from './bundle.js';
import type { CheckFact } from './check-fact.js';
import { scorePlot, unitPlot } from './plot.js';
import type { GroupPoints } from './points.js';

export interface ReportContent {
  readonly about: BundleAbout;
  /** Opened ones only, in log order. */
  readonly statements: readonly StatementView[];
  readonly check: CheckFact | null;
  readonly claims: Claims | null;
  readonly plots: readonly GroupPoints[];
}

/** Changes with every change of what is rendered; a verifier that renders otherwise says so and does not compare. */
export const REPORT_VERSION = 2;

const STYLE = `
:root{color-scheme:light}body{font:16px/1.55 Georgia,serif;color:#1c1c1c;max-width:50rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ccc;padding-bottom:.2rem}
table{border-collapse:collapse;width:100%;font-size:.88rem}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid #e4e4e4}
code,.mono{font:0.82rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}.note{background:#f5f2e8;border-left:4px solid #b99b3f;padding:.6rem 1rem}
.verdict{font-size:1.15rem;border-left:4px solid #444;padding:.4rem 1rem;background:#f4f4f4}.muted{color:#666;font-size:.88rem}
.plots{display:flex;flex-wrap:wrap;gap:1rem}.plot .frame{fill:none;stroke:#999}.plot .diagonal{stroke:#ddd}.plot .hit{fill:#0b5d8a}.plot .miss{fill:#bbb}
.plot .title{font:12px Georgia;text-anchor:middle}.plot .axis{font:11px Georgia;fill:#555;text-anchor:middle}.plot .left{text-anchor:start}.plot .null{fill:none;stroke:#666}.plot .score{stroke:#b03a2e;stroke-width:2}
@media print{body{margin:0;max-width:none}}`;

export function reportHtml(content: ReportContent): string {
  const { about, check } = content;
  const opening = content.statements.find((one) => one.kind === 'room-opened');
  const owner = String(opening?.predicate.owner ?? 'the owner');
  const title = titleOf(about);
  const body = [
    `<h1>${e(title)}</h1>`,
    `<p class="muted">Made for ${e(owner)} on ${e(about.made)} by the owner's clock. Bundle form: ${about.form}. ${howKnown(about)}</p>`,
    ...(check === null ? [] : [summary(check), candidates(check)]),
    ...(content.claims === null ? [] : [opened(content.claims, content.plots)]),
    ...(about.allBatches ? [openedWhole(content)] : []),
    timeline(content),
    limits(check !== null),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${e(title)}</title><style>${STYLE}</style></head>
<body>${body.join('\n')}</body></html>
`;
}

function titleOf({ about }: BundleAbout): string {
  switch (about.kind) {
    case 'check':
      return `Examination of the file ${about.name}`;
    case 'model':
      return `Record of the model ${about.name}`;
    case 'release':
      return `Release ${about.id} of the model ${about.name}`;
  }
}

function howKnown({ about, form }: BundleAbout): string {
  if (about.kind === 'release')
    return 'It opens every key of a release, so that whoever has the original can make the released file again.';
  return form === 'expert'
    ? 'The numbers under <em>Opened</em> are recomputed by <code>muniment verify</code> from the rows in this folder; those of the check itself, over all batches, are <strong>claimed</strong> by the owner.'
    : 'The numbers below are <strong>claimed</strong> by the owner; an expert bundle lets them be recomputed.';
}

function summary(check: CheckFact): string {
  const [best] = check.candidates;
  const custody = Object.entries(check.custody ?? {}).map(([name, value]) => `${name}: ${value}`);
  return `<h2>In short</h2>
<p class="muted">As the owner’s check recorded it:</p><p class="verdict">${e(best === undefined ? 'The room held nothing to compare with.' : `${best.verdict[0]!.toUpperCase()}${best.verdict.slice(1)}. ${best.reason}`)}</p>
<p>File examined: <span class="mono">${e(check.suspect.name)}</span>, SHA-256 <span class="mono">${e(check.suspect.sha256)}</span>. ${custody.length === 0 ? 'How the file was obtained was not recorded.' : `Custody as recorded: ${e(custody.join('; '))}.`}</p>`;
}

const nameOf = (candidate: Candidate): string =>
  candidate.release === null
    ? `${candidate.model} (the original)`
    : `${candidate.model}, copy for ${candidate.recipient}`;

function candidates(check: CheckFact): string {
  const rows = check.candidates.map(
    (one) =>
      `<tr><td>${e(nameOf(one))}</td><td>${e(one.verdict)}${one.kind === null ? '' : `<br><span class="muted">${e(one.kind)}</span>`}</td><td>${number(one.log10p)}</td><td>${e(one.tweaks.map(tweakText).join('; ') || '–')}</td></tr>`,
  );
  const details = check.candidates
    .filter((one) => one.lines.length > 0)
    .map((one) => `<h3>${e(nameOf(one))}</h3><p>${e(one.reason)}</p>${lineTable(one.lines)}`);
  return `<h2>Against everything in the room</h2>
<table><thead><tr><th>compared with</th><th>answer</th><th>log10 p</th><th>what was done to it</th></tr></thead><tbody>${rows.join('')}</tbody></table>
<p class="muted">log10 p is the decimal logarithm of the chance of such a result if the null hypothesis were true, corrected for everything that was tried (look ${check.look} of this room). It is not the probability that the file is innocent.</p>
<h2>Each test</h2>${details.join('')}`;
}

const number = (value: number | null): string => (value === null ? '–' : value.toFixed(2));

function lineTable(lines: readonly EvidenceLine[]): string {
  const rows = lines.map(
    (
      line,
    ) => `<tr><th>${e(line.test)}</th><td>statistic ${e(String(Math.round(line.statistic * 1000) / 1000))} of n = ${line.n}; log10 p ${number(line.log10p)} (${e(line.kind)})
<br><em>Null hypothesis:</em> ${e(line.null)}<br><em>Assumption:</em> ${e(line.assumption)}<br><em>Cannot see:</em> ${e(line.blindTo.join(', '))}</td></tr>`,
  );
  return `<table><tbody>${rows.join('')}</tbody></table>`;
}

function opened(claims: Claims, plots: readonly GroupPoints[]): string {
  const mark = claims.lines.find((line) => line.test === 'mark' || line.test === JITTER);
  return `<h2>Opened: batch ${claims.batch} of release ${e(claims.release)}</h2>
<p>These lines rest on one batch of the release's keys, opened here; the batch proves nothing any more against anyone who has seen this folder. Correction: ${e(claims.how)}.</p>
${lineTable(claims.lines)}
<div class="plots">${plots.map((one) => unitPlot(`group ${one.group}`, one.points, one.size)).join('')}${mark === undefined ? '' : scorePlot('Score of the opened key among keys that were not used', mark.statistic)}</div>
${mark?.test === JITTER ? JITTER_PLOT : UNIT_PLOTS}`;
}

const JITTER_PLOT =
  '<p class="muted">z: how far the thresholds of the examined file follow the places that the opened key drew in the gaps of the training data, with the bell curve that unused keys follow.</p>';
const UNIT_PLOTS = `<p class="muted">Left: each dot is a unit of the examined file, placed by where it stands there and where the secret order of this release puts the unit of the original that it resembles most. A copy that kept the order fills the diagonal; chance puts one dot on it, on average. A copy whose units were moved again scatters here and is found by its marks, shown last: z, with the bell curve that unused keys follow.</p>`;

function openedWhole({ about, statements }: ReportContent): string {
  const release = releasesOf(statements).find((one) => one.release === about.release);
  const commitment = commitmentsOf(statements).find((one) => one.release === about.release);
  if (release === undefined || commitment === undefined) return '';
  const files = release.files.map(
    (file) => `<tr><td>${e(file.name)}</td><td>${file.bytes}</td><td><code>${e(file.sha256)}</code></td></tr>`,
  );
  return `<h2>Opened whole: release ${e(release.release)}, the copy for ${e(release.recipient)}</h2>
<p>All ${commitment.seeds.length} batches of its keys are opened here, and the log says so. None of them proves anything any more against anyone who has seen this folder. With the unmarked original, <code>muniment verify . --original FILE</code> makes the released file again, bit for bit, on any machine: it must be</p>
<table><thead><tr><th>file</th><th>bytes</th><th>SHA-256</th></tr></thead><tbody>${files.join('')}</tbody></table>
<p class="muted">This shows that original, plan, seeds and outside value were those of the commitment, so that no original was made up later to fit the copy. ${e(release.assumption[0]!.toUpperCase() + release.assumption.slice(1))}.</p>`;
}

function timeline({ statements, about }: ReportContent): string {
  const stamps = stampsOf(statements);
  const rows = statements
    .filter((one) => one.kind !== 'timestamp')
    .map((one) => {
      const stamp = earliestStamp(stamps, one.index);
      const name = typeof one.predicate.name === 'string' ? one.predicate.name : (one.subjects[0]?.name ?? '');
      return `<tr><td>${one.index}</td><td>${e(one.time)}</td><td>${stamp === null ? 'self-asserted' : `not after ${e(stamp.time)}, ${e(stamp.authority)}`}</td><td>${e(one.kind)} ${e(name)}</td><td><code>${e(one.sha256.slice(0, 16))}…</code></td></tr>`;
    });
  return `<h2>The chain of facts</h2>
<table><thead><tr><th>#</th><th>owner's clock</th><th>outside time</th><th>statement</th><th>digest</th></tr></thead><tbody>${rows.join('')}</tbody></table>
<p class="muted">${about.tokens.length === 0 ? 'No outside time stamp exists: all times are self-asserted.' : 'Outside times are RFC 3161 stamps over the signed log (non-qualified unless said otherwise).'} Statements that are in the log but not relevant here are not shown.</p>`;
}

function limits(isCheck: boolean): string {
  const items = [
    ...(isCheck
      ? [
          '“Related” says that the file depends on the named release or original. It does not say who copied it, nor that copying was unlawful: licensees, open releases, good-faith buyers, merges and a breach at the owner remain open.',
          'A release names a copy, not the person who passed it on. Signed delivery and access logs must carry the rest.',
          'No test of weights sees a model that was extracted through its answers.',
          'The figures assume that the file examined is the one that was obtained; its custody is as recorded above.',
        ]
      : []),
    'Times without an outside stamp rest on the owner alone.',
    'This report is no legal advice and states no right.',
  ];
  return `<h2>What this does not show</h2><ul class="note">${items.map((item) => `<li>${e(item)}</li>`).join('')}</ul>`;
}
