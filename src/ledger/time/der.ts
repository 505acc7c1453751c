/** Just enough of DER (X.690) to cut an encoding into its elements with every byte kept: hashes and signatures are over those bytes. */

export interface Element {
  readonly tag: number;
  /** Tag, length and body. */
  readonly raw: Uint8Array;
  readonly body: Uint8Array;
}

/** The elements that fill these bytes, one after another. Null where they do not, or where a length is not in its shortest form. */
export function elementsIn(bytes: Uint8Array): readonly Element[] | null {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = elementAt(bytes, at);
    if (next === null) return null;
    found.push(next);
    at += next.raw.length;
  }
  return found;
}

/** As `elementsIn`, where there must be one element with this tag. */
export function elementIn(bytes: Uint8Array, tag: number): Element | null {
  const found = elementsIn(bytes);
  return found?.length === 1 && found[0]!.tag === tag ? found[0]! : null;
}

function elementAt(bytes: Uint8Array, at: number): Element | null {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  // Tags above 30 take more bytes; none occurs in time stamps.
  if (tag === undefined || first === undefined || (tag & 31) === 31) return null;
  let [start, length] = [at + 2, first];
  if (first >= 128) {
    const size = first & 127;
    // Indefinite lengths (0) are not DER; four bytes are more than any limit here.
    if (size === 0 || size > 4 || start + size > bytes.length) return null;
    length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + bytes[start + i]!;
    if (length < 128 || length < 256 ** (size - 1)) return null;
    start += size;
  }
  const end = start + length;
  return end <= bytes.length ? { tag, raw: bytes.subarray(at, end), body: bytes.subarray(start, end) } : null;
}
