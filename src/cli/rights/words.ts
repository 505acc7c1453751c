/** Words for what the rights library answers. */
import type { CellView, RowView, SourceView } from '../../rights/index.js';
import type { Style } from '../style.js';

export const rightNames: Readonly<Record<string, string>> = {
  copyright: 'copyright',
  patent: 'patent',
  'database-right': 'database right',
  'trade-secret': 'trade secret',
};

export const rowName = (row: RowView): string => {
  const [kind, attribute] = row.kind.split('.') as [string, string | undefined];
  const part = attribute === undefined ? '' : `, ${attribute}`;
  if (row.assets.length === 0) return `${kind}${part} (none recorded)`;
  const [first, ...more] = row.assets;
  return `${first!.name} (${kind}${part})${more.length === 0 ? '' : ` and ${more.length} more of which the law says the same`}`;
};

export const answerWord = (cell: CellView): string =>
  cell.answer !== 'unknown'
    ? cell.answer
    : cell.range[0] === 'no' && cell.range[1] === 'yes'
      ? 'unknown'
      : `unknown (${cell.range[0]} to ${cell.range[1]})`;

export const dagger = (cell: CellView): string => (cell.unverified.length > 0 ? '†' : '');

export const paint = (style: Style, answer: string): ((text: string) => string) =>
  answer === 'yes' || answer === 'likely'
    ? style.good
    : answer === 'no' || answer === 'unlikely'
      ? style.bad
      : style.warn;

export const sourceText = ({ cite, at, url, verified }: SourceView): string =>
  `${cite}${at === null ? '' : `, ${at}`}${url === null ? '' : ` <${url}>`}${verified ? '' : ' †'}`;

/** Cells of one right with one answer for one reason, as one line. */
export function grouped(cells: readonly CellView[]): readonly { readonly places: string; readonly cell: CellView }[] {
  const groups = new Map<string, { places: string[]; cell: CellView }>();
  for (const cell of cells) {
    const key = `${answerWord(cell)} ${cell.decides.join()} ${cell.attainable}`;
    const group = groups.get(key);
    const place = `${cell.jurisdiction}${dagger(cell)}`;
    if (group === undefined) groups.set(key, { places: [place], cell });
    else group.places.push(place);
  }
  return [...groups.values()].map(({ places, cell }) => ({ places: places.join(' '), cell }));
}
