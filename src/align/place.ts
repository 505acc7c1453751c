/** Pairs what names and values leave open by place and shape: a common subsequence, so that an added or removed layer shifts nothing. */

export interface Place {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: string;
}

/** Longer lists are cut: the subsequence costs their product. */
const MAX_PLACES = 4000;
/** Worth of a matrix beside a vector: a chain of biases never outweighs the weights. 4,000 of them fit 16 bits. */
const MATRIX = 8;

/**
 * Matrices before vectors, between the tensors that are paired already; then once more what is still left, since
 * formats that list vectors apart from matrices keep the order of each.
 * @param reference in order of places; those that are paired already hold their places
 * @param paired reference name → suspect name, so far
 */
export function placePairs(
  reference: readonly Place[],
  suspect: readonly Place[],
  paired: ReadonlyMap<string, string>,
): [string, string][] {
  const first = inOrder(reference.slice(0, MAX_PLACES), suspect.slice(0, MAX_PLACES), paired);
  const names = new Map([...paired, ...first]);
  const taken = new Set(names.values());
  const left = reference.filter(({ name }) => !names.has(name)).slice(0, MAX_PLACES);
  const right = suspect.filter(({ name }) => !taken.has(name)).slice(0, MAX_PLACES);
  return [...first, ...inOrder(left, right, new Map())];
}

/** New pairs that keep the order, those that are paired already among them. */
function inOrder(
  left: readonly Place[],
  right: readonly Place[],
  paired: ReadonlyMap<string, string>,
): [string, string][] {
  const back = new Map([...paired].map(([a, b]) => [b, a]));
  const pairs = commonSubsequence(
    left.map((place) => (paired.has(place.name) ? `pair ${place.name}` : shapeKey(place))),
    right.map((place) => (back.has(place.name) ? `pair ${back.get(place.name)}` : shapeKey(place))),
    left.map(({ shape }) => (shape.length > 1 ? MATRIX : 1)),
  );
  return pairs.map(([i, j]): [string, string] => [left[i]!.name, right[j]!.name]).filter(([name]) => !paired.has(name));
}

const shapeKey = ({ shape, role }: Place): string => `${role} ${shape.join('×')}`;

/** @param worth of each place of `a`; the subsequence of the greatest sum is taken */
function commonSubsequence(a: readonly string[], b: readonly string[], worth: readonly number[]): [number, number][] {
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] =
        a[i] === b[j]
          ? length[(i + 1) * width + j + 1]! + worth[i]!
          : Math.max(length[(i + 1) * width + j]!, length[i * width + j + 1]!);
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (length[(i + 1) * width + j]! >= length[i * width + j + 1]!) i++;
    else j++;
  }
  return pairs;
}
