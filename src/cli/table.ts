/** Columns of text for people. */

/** Cells are cut to the widths that fit; the last column is never padded. */
export function table(rows: readonly (readonly string[])[], widest = 48): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.min(widest, Math.max(...rows.map((row) => [...(row[column] ?? '')].length))),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => fit(cell, widths[column]!, column === row.length - 1))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function fit(cell: string, width: number, last: boolean): string {
  const characters = [...cell];
  if (characters.length > width) return `${characters.slice(0, width - 1).join('')}…`;
  return last ? cell : cell + ' '.repeat(width - characters.length);
}
