/**
 * The nested symmetries of one attention block (docs/theory.md §4). A unit of an outer group is a block of rows, so the
 * same segments as everywhere say where it lies:
 * - key and value heads, each with the query heads that share it;
 * - query heads within each of them;
 * - value dimensions within each: rows of the value projection and, for every query head that reads them, columns of the
 *   output projection;
 * - query and key dimensions within each, jointly, where nothing (rotary turns, a shared norm) ties a dimension down.
 */
import type { AttentionBlock, Heads } from './attention.js';
import type { NamedShape } from './names.js';
import type { Segment, UnitGroup } from './types.js';

/** Ids are for linking; whoever puts a model's groups in order numbers them anew. */
export function headGroups(block: AttentionBlock, byName: ReadonlyMap<string, NamedShape>): readonly UnitGroup[] {
  const { heads, positions } = block;
  if (heads === null) return [];
  const outer = keyValueHeads(block, heads, byName);
  const each = Array.from({ length: heads.keyValue }, (_, head) => head);
  const areFree = positions !== 'fixed' && positions !== 'closed';
  const areDimensionsFree = (positions === 'free' || positions === 'fixed') && block.norms.length === 0;
  return [
    ...(areFree && heads.keyValue > 1 ? [outer] : []),
    ...(areFree && heads.query > heads.keyValue ? each.map((head) => queryHeads(block, heads, head, byName)) : []),
    ...(heads.valueWidth > 1 ? each.map((head) => valueDimensions(block, heads, head, byName)) : []),
    ...(areDimensionsFree && heads.width > 1 ? each.map((head) => queryDimensions(block, heads, head, byName)) : []),
  ].map((group) => (areFree && heads.keyValue > 1 ? group : withoutOuter(group)));
}

/** Heads that cannot be exchanged, or that are one, are no group for others to lie in. */
const withoutOuter = ({ within: _, ...group }: UnitGroup): UnitGroup => group;

interface Place {
  readonly start: number;
  readonly unitStride: number;
  readonly repeat: number;
  readonly repeatStride: number;
}

/** Blocks of `size` places, one after the other. */
const inBlocks = (start: number, size: number): Place => ({ start, unitStride: size, repeat: size, repeatStride: 1 });
/** Single places, again in each of `repeat` blocks. */
const inEach = (start: number, repeat: number, block: number): Place => ({
  start,
  unitStride: 1,
  repeat,
  repeatStride: block,
});

/** The projection's rows, and its bias where it has one. */
const along = (stem: string, place: Place, byName: ReadonlyMap<string, NamedShape>): Segment[] =>
  [`${stem}.weight`, `${stem}.bias`]
    .filter((tensor) => byName.has(tensor))
    .map((tensor) => ({ tensor, axis: 0, ...place }));

const columns = (stem: string, place: Place): Segment => ({ tensor: `${stem}.weight`, axis: 1, ...place });

const label = ({ prefix, family }: AttentionBlock, what: string): string => `${prefix}${what} (${family})`;

function sinkSegments({ sinks }: AttentionBlock, place: Place): Segment[] {
  return sinks === null ? [] : [{ tensor: sinks, axis: 0, ...place }];
}

const outerId = ({ q }: AttentionBlock): string => `heads ${q}`;

function keyValueHeads(block: AttentionBlock, heads: Heads, byName: ReadonlyMap<string, NamedShape>): UnitGroup {
  const { width, valueWidth, query, keyValue } = heads;
  const each = query / keyValue;
  return {
    id: outerId(block),
    size: keyValue,
    vouched: 'names',
    incoming: [
      ...along(block.k, inBlocks(0, width), byName),
      ...along(block.q, inBlocks(0, each * width), byName),
      ...along(block.v, inBlocks(0, valueWidth), byName),
      ...sinkSegments(block, inBlocks(0, each)),
    ],
    outgoing: [columns(block.o, inBlocks(0, each * valueWidth))],
    scaling: 'none',
    label: label(block, each > 1 ? 'key and value heads' : 'heads'),
  };
}

function queryHeads(
  block: AttentionBlock,
  { width, valueWidth, query, keyValue }: Heads,
  head: number,
  byName: ReadonlyMap<string, NamedShape>,
): UnitGroup {
  const each = query / keyValue;
  return {
    id: `queries ${head} ${block.q}`,
    size: each,
    vouched: 'names',
    within: { group: outerId(block), unit: head },
    incoming: [
      ...along(block.q, inBlocks(head * each * width, width), byName),
      ...sinkSegments(block, inBlocks(head * each, 1)),
    ],
    outgoing: [columns(block.o, inBlocks(head * each * valueWidth, valueWidth))],
    scaling: 'none',
    label: label(block, `query heads of key and value head ${head}`),
  };
}

function valueDimensions(
  block: AttentionBlock,
  { valueWidth, query, keyValue }: Heads,
  head: number,
  byName: ReadonlyMap<string, NamedShape>,
): UnitGroup {
  const each = query / keyValue;
  return {
    id: `values ${head} ${block.q}`,
    size: valueWidth,
    vouched: 'names',
    within: { group: outerId(block), unit: head },
    incoming: along(block.v, inEach(head * valueWidth, 1, 1), byName),
    outgoing: [columns(block.o, inEach(head * each * valueWidth, each, valueWidth))],
    // Attention mixes places, never dimensions: a factor on the values is undone behind them, sign included.
    scaling: 'any',
    label: label(block, `value dimensions of head ${head}`),
  };
}

function queryDimensions(
  block: AttentionBlock,
  { width, query, keyValue }: Heads,
  head: number,
  byName: ReadonlyMap<string, NamedShape>,
): UnitGroup {
  const each = query / keyValue;
  return {
    id: `dimensions ${head} ${block.q}`,
    size: width,
    vouched: 'names',
    within: { group: outerId(block), unit: head },
    incoming: along(block.k, inEach(head * width, 1, 1), byName),
    // Only products of queries and keys matter: what multiplies the one divides the other.
    outgoing: along(block.q, inEach(head * each * width, each, width), byName),
    scaling: 'any',
    label: label(block, `query and key dimensions of head ${head}`),
  };
}
