/** Pictures of the report, as SVG text: unit against unit, and a mark's score among wrong keys. No script, no outside reference. */

import { escapeXml } from '../base/index.js';

export interface UnitPoint {
  /** Position of the unit in the suspect. */
  readonly suspect: number;
  /** Position that the secret order gives to the original's unit it resembles most; null for a tie or a miss. */
  readonly original: number | null;
}

const SIZE = 260;
const PAD = 34;

/**
 * Unit-against-unit plot of one group: a copy that kept the order shows its hits on the diagonal; chance scatters, one hit on average.
 * @param points one per tested unit; @param n units in the group
 */
export function unitPlot(title: string, points: readonly UnitPoint[], n: number): string {
  const place = (value: number) => PAD + ((value + 0.5) / n) * (SIZE - 2 * PAD);
  const radius = Math.max(0.8, Math.min(3.2, (SIZE - 2 * PAD) / n / 1.6));
  const matched = points.flatMap((p) => (p.original === null ? [] : [{ x: p.suspect, y: p.original }]));
  const hits = matched.filter((p) => p.x === p.y).length;
  const dots = matched
    .map(
      (p) =>
        `<circle cx="${place(p.x).toFixed(2)}" cy="${(SIZE - place(p.y)).toFixed(2)}" r="${radius.toFixed(2)}" class="${p.x === p.y ? 'hit' : 'miss'}"/>`,
    )
    .join('');
  const label = `${title}: ${hits} of ${points.length} units on the diagonal`;
  return `<svg class="plot" viewBox="0 0 ${SIZE} ${SIZE}" width="${SIZE}" height="${SIZE}" role="img" aria-label="${escapeXml(label)}">
<title>${escapeXml(label)}</title>
<rect x="${PAD}" y="${PAD}" width="${SIZE - 2 * PAD}" height="${SIZE - 2 * PAD}" class="frame"/>
<line x1="${PAD}" y1="${SIZE - PAD}" x2="${SIZE - PAD}" y2="${PAD}" class="diagonal"/>
${dots}
<text x="${SIZE / 2}" y="18" class="title">${escapeXml(title)}: ${hits} of ${points.length}</text>
<text x="${SIZE / 2}" y="${SIZE - 10}" class="axis">unit in the suspect (0–${n - 1})</text>
<text transform="translate(14 ${SIZE / 2}) rotate(-90)" class="axis">unit it resembles most, in release order</text>
</svg>`;
}

/** The score z of the right key against the standard normal that wrong keys follow. @param z any finite number */
export function scorePlot(title: string, z: number): string {
  const width = 460;
  const height = 150;
  const right = Math.max(6, z * 1.08);
  const x = (value: number) => 20 + ((value + 5) / (right + 5)) * (width - 40);
  const steps = Array.from({ length: 121 }, (_, i) => -5 + i / 12);
  const curve = steps
    .map((v, i) => `${i === 0 ? 'M' : 'L'}${x(v).toFixed(1)} ${(height - 30 - 85 * Math.exp((-v * v) / 2)).toFixed(1)}`)
    .join('');
  return `<svg class="plot" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">
<title>${escapeXml(title)}</title>
<line x1="20" y1="${height - 30}" x2="${width - 20}" y2="${height - 30}" class="frame"/>
<path d="${curve}" class="null"/>
<line x1="${x(z).toFixed(1)}" y1="25" x2="${x(z).toFixed(1)}" y2="${height - 30}" class="score"/>
<text x="20" y="${height - 12}" class="axis left">keys that were not used, around 0</text>
<text x="${Math.min(x(z), width - 60).toFixed(1)}" y="18" class="title">z = ${z.toFixed(2)}</text>
</svg>`;
}
