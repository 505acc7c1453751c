/** The rights report: one self-contained HTML page. Matrix, terms over time, gaps by value, and every reason with its source. */
import { escapeXml as e } from '../base/index.js';
import { gapsOf } from './gaps.js';
import { type Jurisdiction, type Law, type Right, rights } from './law.js';
import type { Matrix } from './matrix.js';
import { questionsOf } from './questions.js';
import {
  type CellView,
  type MatrixView,
  matrixView,
  type ReasonView,
  type RowView,
  type SaidView,
  type SourceView,
} from './view.js';

const NAMES: Readonly<Record<Right, string>> = {
  copyright: 'Copyright',
  patent: 'Patent',
  'database-right': 'Database right and near-equivalents',
  'trade-secret': 'Trade secret',
};

const STYLE = `
:root{color-scheme:light}body{font:16px/1.55 Georgia,serif;color:#1c1c1c;max-width:72rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;line-height:1.25}h2{font-size:1.25rem;margin-top:2.4rem;border-bottom:1px solid #ccc}h3{font-size:1.05rem;margin:1.4rem 0 .3rem}
table{border-collapse:collapse;font-size:.82rem;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .45rem;border-bottom:1px solid #e4e4e4}
.scroll{overflow-x:auto}.grid td{text-align:center;border:1px solid #fff}.grid th.row{white-space:normal;min-width:11rem}.grid a{color:inherit;text-decoration:none;display:block}
.yes{background:#8cc7a1}.likely{background:#c3e3cd}.arguable{background:#f3e6b3}.unlikely{background:#f1d3bf}.no{background:#e3b9b4}.unknown{background:#e6e6ea}
.note{background:#f5f2e8;border-left:4px solid #b99b3f;padding:.6rem 1rem}.muted{color:#666;font-size:.86rem}details{margin:.2rem 0;border-left:3px solid #ddd;padding-left:.8rem}
summary{cursor:pointer}.src{color:#555;font-size:.8rem}.pill{padding:0 .4rem;border-radius:.3rem}ul{margin:.2rem 0;padding-left:1.2rem}svg text{font:12px Georgia}
@media print{body{margin:0;max-width:none}details{break-inside:avoid}}`;

export function rightsReport(law: Law, matrix: Matrix, owner: string): string {
  const view = matrixView(law, matrix);
  const title = `Rights in what ${owner} made`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${e(title)}</title><style>${STYLE}</style></head>
<body><h1>${e(title)}</h1>
<p class="muted">The law of ${e(view.asOf)}, on the facts that the ledger shows.</p>
<div class="note">${view.notices.map((line) => `<p>${e(line)}</p>`).join('')}</div>
<p class="legend">${(['yes', 'likely', 'arguable', 'unlikely', 'no'] as const).map((one) => `<span class="pill ${one}">${one}</span>`).join(' ')} <span class="pill unknown">from–to</span> open questions leave that range · <small>↑</small> what the owner could still reach · † rests on a source not yet verified · each answer leads to its reasons</p>
${grids(view)}
${timeline(view)}
${gaps(matrix)}
${questions(law, matrix)}
<h2>Reasons</h2>
${view.rows.map((row, index) => `<h3>${e(rowTitle(row))}</h3>${row.cells.map((cell) => details(cell, anchor(index, cell))).join('\n')}`).join('\n')}
</body></html>
`;
}

const anchor = (row: number, cell: CellView): string => `r${row}-${cell.right}-${cell.jurisdiction}`;

function rowTitle(row: RowView): string {
  const [first, ...more] = row.assets;
  const kind = row.kind.replace('.', ', ');
  if (first === undefined) return `${kind} (none recorded)`;
  return `${first.name} (${kind})${more.length === 0 ? '' : ` and ${more.length} more of which the law says the same`}`;
}

const words = (cell: CellView): string =>
  cell.answer === 'unknown'
    ? cell.range[0] === 'no' && cell.range[1] === 'yes'
      ? '?'
      : `${cell.range[0]}–${cell.range[1]}`
    : cell.answer;

function grids(view: MatrixView): string {
  const places = [...new Set(view.rows.flatMap((row) => row.cells.map((cell) => cell.jurisdiction)))];
  const asked = rights.filter((right) => view.rows.some((row) => row.cells.some((cell) => cell.right === right)));
  return asked
    .map(
      (
        right,
      ) => `<h2>${NAMES[right]}</h2><div class="scroll"><table class="grid"><tr><th></th>${places.map((one) => `<th>${one}</th>`).join('')}</tr>
${view.rows.map((row, index) => `<tr><th class="row">${e(rowTitle(row))}</th>${places.map((place) => gridCell(row, index, right, place)).join('')}</tr>`).join('\n')}</table></div>`,
    )
    .join('\n');
}

function gridCell(row: RowView, index: number, right: Right, place: Jurisdiction): string {
  const cell = row.cells.find((one) => one.right === right && one.jurisdiction === place);
  if (cell === undefined) return '<td></td>';
  const up =
    cell.answer !== 'unknown' && cell.attainable !== cell.range[1] ? `<br><small>↑ ${cell.attainable}</small>` : '';
  const mark = cell.unverified.length > 0 ? '†' : '';
  return `<td class="${cell.answer}"><a href="#${anchor(index, cell)}">${words(cell)}${mark}${up}</a></td>`;
}

/** Terms that run, as bars from the day of the question; a term without a fixed end has no bar. */
function timeline(view: MatrixView): string {
  const bars = view.rows
    .flatMap((row) =>
      row.cells.flatMap((cell) =>
        cell.ends !== null && cell.range[1] !== 'no'
          ? [{ label: `${cell.title}, ${cell.jurisdiction}: ${rowTitle(row)}`, end: cell.ends.earliest }]
          : [],
      ),
    )
    .sort((a, b) => a.end.localeCompare(b.end))
    .slice(0, 60);
  if (bars.length === 0) return '<h2>Terms ending</h2><p>No term with a known beginning runs.</p>';
  const start = Number(view.asOf.slice(0, 4));
  const last = Math.max(...bars.map((one) => Number(one.end.slice(0, 4)))) + 1;
  const width = 900;
  const from = 470;
  const x = (day: string): number =>
    from + ((Number(day.slice(0, 4)) + Number(day.slice(5, 7)) / 12 - start) / (last - start)) * (width - from - 90);
  const lines = bars.map(
    (one, index) =>
      `<text x="0" y="${index * 20 + 34}">${e(one.label.length > 70 ? `${one.label.slice(0, 69)}…` : one.label)}</text><rect x="${from}" y="${index * 20 + 24}" width="${(x(one.end) - from).toFixed(1)}" height="12" fill="#7d9bb5"/><text x="${(x(one.end) + 6).toFixed(1)}" y="${index * 20 + 34}">${one.end}</text>`,
  );
  return `<h2>Terms ending</h2><div class="scroll"><svg width="${width}" height="${bars.length * 20 + 40}" role="img" aria-label="Terms ending"><text x="${from}" y="14">${view.asOf}</text>${lines.join('')}</svg></div>`;
}

function gaps(matrix: Matrix): string {
  const list = gapsOf(matrix);
  if (list.length === 0) return '<h2>Gaps</h2><p>Nothing that the owner could still do would raise an answer.</p>';
  return `<h2>Gaps, by value</h2><p class="muted">Steps: by how many grades (no, unlikely, arguable, likely, yes) the answers that it holds back could rise, summed.</p><table><tr><th>steps</th><th>what to do</th><th>for</th><th>answers</th></tr>${list
    .slice(0, 40)
    .map(
      (gap) =>
        `<tr><td>${gap.steps}</td><td>${e(gap.todo)}</td><td>${e(gap.subjects[0]!.asset!.name)}${gap.subjects.length > 1 ? ` and ${gap.subjects.length - 1} more` : ''}</td><td>${e([...new Set(gap.cells.map((one) => `${one.jurisdiction} ${one.right}`))].join(', '))}</td></tr>`,
    )
    .join('')}</table>`;
}

function questions(law: Law, matrix: Matrix): string {
  const list = questionsOf(law, matrix).slice(0, 20);
  if (list.length === 0) return '';
  return `<h2>Open questions, most valuable first</h2><ol>${list.map((one) => `<li>${e(one.fact.question)} <span class="muted">(${e(one.subjects[0]?.asset?.name ?? 'the room')}; bears on ${one.cells} answers) ${e(one.fact.why)}</span></li>`).join('')}</ol>`;
}

function details(cell: CellView, id: string): string {
  const list = (label: string, items: readonly SaidView[]): string =>
    items.length === 0
      ? ''
      : `<p>${label}</p><ul>${items.map((one) => `<li>${e(one.text)} ${sources(one.sources)}</li>`).join('')}</ul>`;
  const pairs = (label: string, items: Readonly<Record<string, SaidView>> | null): string =>
    items === null
      ? ''
      : `<p>${label}</p><ul>${Object.entries(items)
          .map(
            ([name, one]) =>
              `<li>${e(spaced(name))}: <b>${one.answer}</b>. ${e(one.text)} ${sources(one.sources)}</li>`,
          )
          .join('')}</ul>`;
  return `<details id="${id}"><summary>${NAMES[cell.right]}, ${cell.jurisdiction}: <span class="pill ${cell.answer}">${words(cell)}</span>${cell.unverified.length > 0 ? '†' : ''}${cell.attainable !== cell.range[0] ? `, attainable: ${cell.attainable}` : ''}${cell.title === null ? '' : ` · ${e(cell.title)}`}</summary>
${cell.titleSources.length === 0 ? '' : `<p>Basis: ${e(cell.title!)} ${sources(cell.titleSources)}</p>`}
<ul>${cell.reasons.map((reason) => reasonItem(reason, cell.decides.includes(reason.id))).join('')}</ul>
${cell.wouldChange.length === 0 ? '' : `<p>What would change it: ${cell.wouldChange.map(e).join('; ')}</p>`}
${cell.term === null ? '' : `<p>Term: ${e(cell.term.text)}${cell.ends === null ? '' : `; ends ${cell.ends.latest}`} ${sources(cell.term.sources)}</p>`}
${cell.formality === null ? '' : `<p>Formality: ${e(cell.formality.text)}; cost: ${e(cell.formality.cost ?? 'not recorded')}; time: ${e(cell.formality.time ?? 'not recorded')} ${sources(cell.formality.sources)}</p>`}
${list('Stops', cell.stops)}${pairs('Defences of others', cell.defences)}${pairs('Remedies', cell.remedies)}
${list(
  'Cases',
  cell.cases.map((one) => ({
    text: `${one.name}${one.date === null ? '' : ` (${one.date})`}: ${one.text}`,
    sources: one.sources,
  })),
)}
${cell.limits === null ? '' : `<p>Limits: ${e(cell.limits)}</p>`}</details>`;
}

function reasonItem(reason: ReasonView, decides: boolean): string {
  const state = { met: 'met', short: 'met in part', failed: 'not met', open: 'open' }[reason.state];
  const facts = reason.facts.map(
    (one) =>
      `<code>${one.fact} = ${one.value === null ? '?' : e(String(one.value))}</code> (${one.how}${one.statements.length === 0 ? '' : `, statement ${one.statements.map((by) => by.index).join(', ')}`})`,
  );
  return `<li>${decides ? '<b>' : ''}${state}: ${e(reason.text)}${decides ? '</b>' : ''} ${sources(reason.sources)}<br>${reason.why.map((why) => e(why)).join(' <i>or</i> ')}${facts.length === 0 ? '' : `<br><span class="src">${facts.join(' · ')}</span>`}</li>`;
}

const spaced = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function sources(list: readonly SourceView[]): string {
  const one = ({ cite, at, url, verified }: SourceView): string => {
    const text = `${e(cite)}${at === null ? '' : `, ${e(at)}`}`;
    return `${url === null ? text : `<a href="${e(url)}">${text}</a>`}${verified ? '' : ' †'}`;
  };
  return `<span class="src">[${list.map(one).join('; ')}]</span>`;
}
