/** Rows → CSV text (RFC 4180, line feeds). */

const cell = (value: string | number): string => {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

export const toCsv = (header: readonly string[], rows: Iterable<readonly (string | number)[]>): string =>
  `${[header, ...rows].map((row) => row.map(cell).join(',')).join('\n')}\n`;
