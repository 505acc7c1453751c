/** Constants that both models hold: bases, windows, masks. Shared by everybody who uses the method, and no sign of copying. */
import type { Subject, SubjectTensor } from './subject.js';
import { elementsOf } from './subject.js';

export interface SharedConstant {
  readonly a: string;
  readonly b: string;
  readonly what: string;
}

/** Larger constants are compared by their first rows. */
const MAX_COMPARED = 2 ** 20;

/** Constants of both models with equal values, by name first and then by shape. */
export async function sharedConstants(
  reference: Subject,
  suspect: Subject,
  names: ReadonlyMap<string, string>,
): Promise<readonly SharedConstant[]> {
  const theirs = [...suspect.tensors.values()].filter((tensor) => tensor.nature.kind === 'constant');
  const free = new Set(theirs.map((tensor) => tensor.name));
  const found: SharedConstant[] = [];
  for (const ours of reference.tensors.values()) {
    if (ours.nature.kind !== 'constant' || elementsOf(ours.shape) < 2) continue;
    const named = suspect.tensors.get(names.get(ours.name) ?? ours.name);
    const sameShape = theirs.filter((tensor) => free.has(tensor.name) && tensor.shape.join() === ours.shape.join());
    const candidates = [
      ...(named === undefined ? [] : sameShape.filter((tensor) => tensor.name === named.name)),
      ...sameShape,
    ];
    for (const other of candidates) {
      if (!(await sameValues(ours, other))) continue;
      free.delete(other.name);
      found.push({ a: ours.name, b: other.name, what: ours.nature.what });
      break;
    }
  }
  return found;
}

async function sameValues(a: SubjectTensor, b: SubjectTensor): Promise<boolean> {
  const rowLength = Math.max(1, elementsOf(a.shape.slice(1)));
  const whole = a.shape.length === 0 || elementsOf(a.shape) <= MAX_COMPARED;
  if (!whole && rowLength > MAX_COMPARED) return false;
  const rows = whole ? [] : Array.from({ length: Math.max(1, Math.floor(MAX_COMPARED / rowLength)) }, (_, row) => row);
  const ours = whole ? await a.read() : await a.readRows(rows);
  const theirs = whole ? await b.read() : await b.readRows(rows);
  // Storage in half precision keeps three digits; constants of one kind that differ at all differ by more.
  return (
    ours.length === theirs.length &&
    ours.every((value, k) => Math.abs(value - theirs[k]!) <= 1e-3 * Math.max(1e-3, Math.abs(value)))
  );
}
