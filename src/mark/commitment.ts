/**
 * Commitment to a model's values: a salted Merkle root over canonical (tensor, row), so that single rows can be
 * opened and nothing else is learnt. Tree as in RFC 6962 §2.1 (0x00 leaf, 0x01 node); every leaf begins with a salt
 * of its own, so that a row of few values cannot be guessed.
 */
import {
  concatBytes,
  equalBytes,
  evidenceError,
  fromHex,
  hmacSha256,
  inputError,
  sha256,
  toHex,
  u64be,
  utf8,
} from '../base/index.js';

/** One tensor as committed, in the order of the leaves. Rows lie along canonical axis 0; a scalar is one row. */
export interface CommittedTensor {
  readonly tensor: string;
  readonly rows: number;
  /** Values per row. */
  readonly width: number;
}

export interface ModelCommitment {
  /** Hex. */
  readonly root: string;
  readonly layout: readonly CommittedTensor[];
}

/** A tree held in memory, of which single rows can be opened. */
export interface CommitmentTree extends ModelCommitment {
  readonly leaves: readonly Uint8Array[];
}

export interface RowOpening {
  readonly tensor: string;
  readonly row: number;
  /** Hex, 32 bytes. */
  readonly salt: string;
  readonly values: readonly number[];
  /** RFC 6962 audit path, hex, from the leaf upwards. */
  readonly path: readonly string[];
}

/** 4 million rows: 128 MB of hashes, within the memory that bad input may take. */
export const MAX_LEAVES = 2 ** 22;

export interface CommittableTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Canonical rows [start, end), not folded. */
  rows(start: number, end: number): Promise<Float64Array>;
}

/** A secret per commitment; each row's salt is HMAC(secret, tensor, row), so one opened salt says nothing of another. */
export const rowSalt = (secret: Uint8Array, tensor: string, row: number): Uint8Array =>
  hmacSha256(secret, prefixed(tensor), u64be(row));

const prefixed = (text: string): Uint8Array => {
  const bytes = utf8(text);
  return concatBytes(u64be(bytes.length), bytes);
};

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export function leafHash(salt: Uint8Array, tensor: string, row: number, values: Float64Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (let k = 0; k < values.length; k++) view.setFloat64(k * 8, values[k]!, true);
  return sha256(LEAF, salt, prefixed(tensor), u64be(row), bytes);
}

const rowsOf = (shape: readonly number[]): number => shape[0] ?? 1;
const widthOf = (shape: readonly number[]): number => shape.slice(1).reduce((all, size) => all * size, 1);

/** Values read at once: 8 MB. */
const CHUNK = 2 ** 20;

/**
 * Commits every tensor, in the order of their names by UTF-16 code units.
 * @throws `MARK_TOO_MANY_ROWS`
 */
export async function commitModel(
  tensors: readonly CommittableTensor[],
  secret: Uint8Array,
  onRows?: (done: number, total: number) => void,
): Promise<CommitmentTree> {
  const ordered = [...tensors].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const layout = ordered.map(({ name, shape }) => ({ tensor: name, rows: rowsOf(shape), width: widthOf(shape) }));
  const total = layout.reduce((sum, one) => sum + one.rows, 0);
  if (total > MAX_LEAVES) {
    throw inputError('MARK_TOO_MANY_ROWS', 'the model has too many rows to commit', {
      expected: `at most ${MAX_LEAVES}`,
      got: String(total),
    });
  }
  const leaves: Uint8Array[] = [];
  for (let t = 0; t < ordered.length; t++) {
    const { tensor, rows, width } = layout[t]!;
    const step = Math.max(1, Math.floor(CHUNK / Math.max(1, width)));
    for (let start = 0; start < rows; start += step) {
      const end = Math.min(rows, start + step);
      const values = await ordered[t]!.rows(start, end);
      for (let row = start; row < end; row++) {
        const own = values.subarray((row - start) * width, (row - start + 1) * width);
        leaves.push(leafHash(rowSalt(secret, tensor, row), tensor, row, own));
      }
      onRows?.(leaves.length, total);
    }
  }
  return { root: toHex(merkleRoot(leaves)), layout, leaves };
}

/** Opens one row with its proof. `values` must be the committed ones. @throws `MARK_NO_SUCH_ROW` */
export function openRow(
  tree: CommitmentTree,
  secret: Uint8Array,
  tensor: string,
  row: number,
  values: Float64Array,
): RowOpening {
  const index = leafIndex(tree.layout, tensor, row);
  return {
    tensor,
    row,
    salt: toHex(rowSalt(secret, tensor, row)),
    values: Array.from(values),
    path: auditPath(tree.leaves, index).map(toHex),
  };
}

/**
 * Checks that a row is the committed one: its leaf stands at the only place that the layout gives it.
 * @throws `MARK_ROW_NOT_COMMITTED`
 */
export function checkRow(commitment: ModelCommitment, opening: RowOpening): void {
  const index = leafIndex(commitment.layout, opening.tensor, opening.row);
  const size = commitment.layout.reduce((sum, one) => sum + one.rows, 0);
  const leaf = leafHash(fromHex(opening.salt), opening.tensor, opening.row, Float64Array.from(opening.values));
  const root = rootFromPath(leaf, index, size, opening.path.map(fromHex));
  if (root === null || !equalBytes(root, fromHex(commitment.root))) {
    throw evidenceError('MARK_ROW_NOT_COMMITTED', 'an opened row does not lead to the committed root', {
      expected: commitment.root,
      got: root === null ? 'a path of the wrong length' : toHex(root),
      where: `${opening.tensor}, row ${opening.row}`,
    });
  }
}

function leafIndex(layout: readonly CommittedTensor[], tensor: string, row: number): number {
  let index = 0;
  for (const one of layout) {
    if (one.tensor === tensor) {
      if (Number.isSafeInteger(row) && row >= 0 && row < one.rows) return index + row;
      break;
    }
    index += one.rows;
  }
  throw evidenceError('MARK_NO_SUCH_ROW', 'the commitment has no such row', { where: `${tensor}, row ${row}` });
}

/** Largest power of two below n, n ≥ 2. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** Roots of subtrees, kept per list of leaves: opening all rows one by one would else cost the square of their number. */
const known = new WeakMap<readonly Uint8Array[], Map<number, Uint8Array>>();

export function merkleRoot(leaves: readonly Uint8Array[], start = 0, end = leaves.length): Uint8Array {
  if (end === start) return sha256();
  if (end - start === 1) return leaves[start]!;
  const kept = known.get(leaves) ?? new Map<number, Uint8Array>();
  known.set(leaves, kept);
  const place = start * (MAX_LEAVES + 1) + end;
  const before = kept.get(place);
  if (before !== undefined) return before;
  const middle = start + split(end - start);
  const root = sha256(NODE, merkleRoot(leaves, start, middle), merkleRoot(leaves, middle, end));
  kept.set(place, root);
  return root;
}

function auditPath(leaves: readonly Uint8Array[], index: number, start = 0, end = leaves.length): Uint8Array[] {
  if (end - start <= 1) return [];
  const middle = start + split(end - start);
  return index < middle
    ? [...auditPath(leaves, index, start, middle), merkleRoot(leaves, middle, end)]
    : [...auditPath(leaves, index, middle, end), merkleRoot(leaves, start, middle)];
}

function rootFromPath(leaf: Uint8Array, index: number, size: number, path: readonly Uint8Array[]): Uint8Array | null {
  const climb = (at: number, count: number, depth: number): Uint8Array | null => {
    if (count === 1) return depth === 0 ? leaf : null;
    const sibling = path[depth - 1];
    if (sibling === undefined) return null;
    const middle = split(count);
    const own = at < middle ? climb(at, middle, depth - 1) : climb(at - middle, count - middle, depth - 1);
    if (own === null) return null;
    return at < middle ? sha256(NODE, own, sibling) : sha256(NODE, sibling, own);
  };
  return climb(index, size, path.length);
}
