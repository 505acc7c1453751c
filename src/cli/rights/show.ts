/** `muniment rights`: the matrix in words, the way to the statute, gaps. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/index.js';
import {
  type CellView,
  gapsOf,
  type MatrixView,
  matrixView,
  questionsOf,
  type ReasonView,
  rightsReport,
} from '../../rights/index.js';
import type { Answer, Call } from '../command.js';
import { flagOption, textOption } from '../options.js';
import { ask } from './inquiry.js';
import { answerWord, dagger, grouped, paint, rightNames, rowName, sourceText } from './words.js';

/** Rows printed at most; a room of thousands of situations is read as HTML or JSON. */
const MAX_ROWS = 60;
const MAX_GAPS = 12;

export async function showMatrix(call: Call): Promise<Answer> {
  const { law, matrix, statements } = await ask(call);
  const view = matrixView(law, matrix);
  const gaps = gapsOf(matrix);
  const out = textOption(call, 'out');
  if (out !== undefined) {
    const file = path.resolve(call.cwd, out);
    const owner = statements.find((one) => one.kind === 'room-opened')?.predicate.owner;
    await writeFile(file, rightsReport(law, matrix, String(owner ?? 'the owner')), { flag: 'wx' });
  }
  const { bold, dim, warn } = call.style;
  const recorded = flagOption(call, 'all') ? view.rows : view.rows.filter((row) => row.assets.length > 0);
  const rows = recorded.slice(0, MAX_ROWS);
  const absent = view.rows.filter((row) => row.assets.length === 0).map((row) => row.kind.replace('.', ', '));
  const text = [
    ...rows.flatMap((row) => [
      bold(rowName(row)),
      ...Object.entries(rightNames).flatMap(([right, name]) =>
        rightLines(
          row.cells.filter((cell) => cell.right === right),
          name,
          call,
        ),
      ),
      '',
    ]),
    ...(recorded.length > rows.length
      ? [dim(`${recorded.length - rows.length} more rows: --asset NAME, --out FILE.html or --json`), '']
      : []),
    ...(absent.length > 0 && !flagOption(call, 'all')
      ? [dim(`Not recorded: ${absent.join('; ')}. --all shows what the law would say of them.`), '']
      : []),
    ...(gaps.length > 0
      ? [
          bold('What would raise most, best first (steps over all answers)'),
          ...gaps
            .slice(0, MAX_GAPS)
            .map(
              (gap) =>
                `  ${String(gap.steps).padStart(4)}  ${gap.todo} [${gap.subjects[0]!.asset!.name}${gap.subjects.length > 1 ? ` and ${gap.subjects.length - 1} more` : ''}]`,
            ),
          ...(gaps.length > MAX_GAPS ? [dim(`        and ${gaps.length - MAX_GAPS} more (--json)`)] : []),
          '',
        ]
      : []),
    ...(questionsOf(law, matrix).length > 0 ? ['Open questions: muniment rights ask'] : []),
    'Reasons down to the statute: muniment rights why --asset NAME --right RIGHT --in PLACE',
    ...(out === undefined ? [] : [`report: ${out}`]),
    ...view.notices.map((line) => warn(line)),
  ].join('\n');
  return {
    json: { ...view, gaps: gaps.map((gap) => ({ ...gap, subjects: gap.subjects.map((one) => one.asset!.name) })) },
    text,
  };
}

function rightLines(cells: readonly CellView[], name: string, call: Call): readonly string[] {
  return grouped(cells).map(({ places, cell }, index) => {
    const label = (index === 0 ? name : '').padEnd(15);
    const word = paint(call.style, cell.answer)(answerWord(cell));
    const reach = rank(cell.attainable) > rank(cell.range[0]) ? `, up to ${cell.attainable}` : '';
    const ends = cell.ends === null || cell.range[1] === 'no' ? '' : `, until ${cell.ends.earliest}`;
    return `  ${label} ${word}${reach}${ends}: ${places}  ${call.style.dim(`(${because(cell)})`)}`;
  });
}

const rank = (verdict: string): number => ['no', 'unlikely', 'arguable', 'likely', 'yes'].indexOf(verdict);

/** The first deciding reason, in its own words. */
function because(cell: CellView): string {
  const reason = cell.reasons.find((one) => cell.decides.includes(one.id));
  if (reason === undefined) return '';
  // Said of several places at once, so not in the words of one of them.
  if (reason.id === 'not-recognised') return 'the law there knows no such right';
  if (reason.id === 'not-modelled') return 'the rules base does not say';
  if (reason.id === 'asset' && reason.state === 'open') return 'the rules base does not place this kind of asset';
  const text = reason.state === 'open' ? `open: ${reason.text}` : reason.why[0]!;
  return `${text[0]!.toLowerCase()}${text.slice(1)}`;
}

export async function showWhy(call: Call): Promise<Answer> {
  const { law, matrix } = await ask(call);
  const view = matrixView(law, matrix);
  const cells = view.rows.reduce((sum, row) => sum + row.cells.length, 0);
  if (cells > 44) {
    throw usageError('RIGHTS_TOO_MANY', 'the reasons of so many answers are no reading', {
      expected: 'at most 44 answers',
      got: String(cells),
      todo: 'name the asset, the right and the jurisdiction: --asset NAME --right RIGHT --in PLACE',
    });
  }
  return { json: view, text: whyText(view, call) };
}

function whyText(view: MatrixView, call: Call): string {
  const { bold, warn } = call.style;
  return [
    ...view.rows.flatMap((row) =>
      row.cells.flatMap((cell) => [
        bold(`${rowName(row)}: ${rightNames[cell.right]} in ${cell.jurisdiction}: `) +
          paint(call.style, cell.answer)(`${answerWord(cell)}${dagger(cell)}`),
        ...(cell.title === null ? [] : [`  basis: ${cell.title} [${cell.titleSources.map(sourceText).join('; ')}]`]),
        ...cell.reasons.flatMap((reason) => reasonLines(reason, cell.decides.includes(reason.id), call)),
        ...(rank(cell.attainable) > rank(cell.range[0]) ? [`  attainable: ${cell.attainable}`] : []),
        ...cell.wouldChange.map((text) => `  to raise it: ${text}`),
        ...(cell.term === null
          ? []
          : [
              `  term: ${cell.term.text}${cell.ends === null ? '' : `; ends ${cell.ends.latest}`} [${cell.term.sources.map(sourceText).join('; ')}]`,
            ]),
        ...(cell.formality === null
          ? []
          : [
              `  formality: ${cell.formality.text}; cost: ${cell.formality.cost ?? 'not recorded'}; time: ${cell.formality.time ?? 'not recorded'} [${cell.formality.sources.map(sourceText).join('; ')}]`,
            ]),
        ...cell.stops.map((one) => `  stops: ${one.text} [${one.sources.map(sourceText).join('; ')}]`),
        ...Object.entries(cell.defences ?? {}).map(
          ([name, one]) => `  ${spaced(name)}: ${one.answer}. ${one.text} [${one.sources.map(sourceText).join('; ')}]`,
        ),
        ...Object.entries(cell.remedies ?? {}).map(
          ([name, one]) => `  ${spaced(name)}: ${one.answer}. ${one.text} [${one.sources.map(sourceText).join('; ')}]`,
        ),
        ...cell.cases.map(
          (one) =>
            `  case: ${one.name}${one.date === null ? '' : ` (${one.date})`}: ${one.text} [${one.sources.map(sourceText).join('; ')}]`,
        ),
        ...(cell.limits === null ? [] : [`  limits: ${cell.limits}`]),
        ...cell.others.map(
          (one) =>
            `  also looked at: ${one.title} (${one.range[0] === one.range[1] ? one.range[0] : one.range.join(' to ')})`,
        ),
        '',
      ]),
    ),
    ...view.notices.map((line) => warn(line)),
  ].join('\n');
}

const spaced = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function reasonLines(reason: ReasonView, decides: boolean, call: Call): readonly string[] {
  const state = { met: 'met', short: 'short', failed: 'not met', open: 'open' }[reason.state];
  const mark = decides ? '→' : ' ';
  return [
    ` ${mark}${paint(call.style, reason.state === 'met' ? 'yes' : reason.state === 'failed' ? 'no' : 'unknown')(state)}: ${reason.text} [${reason.sources.map(sourceText).join('; ')}]`,
    ...reason.why.map((why) => `     ${reason.state === 'open' ? 'either: ' : ''}${why}`),
    ...reason.facts.map((fact) => {
      const by =
        fact.statements.length === 0 ? '' : `, statement ${fact.statements.map((one) => one.index).join(', ')}`;
      return `     ${fact.fact} = ${fact.value === null ? '?' : String(fact.value)} (${fact.how}${by}${fact.field === null ? '' : `, ${fact.field}`})`;
    }),
  ];
}
