/** ZIP archives written by hand, byte for byte, so that tests can lie in any field. */
import { crc32, deflateRawSync } from 'node:zlib';

export interface Packed {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly deflate?: boolean;
  /** What the records say instead of the truth. */
  readonly lie?: {
    readonly size?: number;
    readonly packed?: number;
    readonly flags?: number;
    readonly method?: number;
    readonly crc?: number;
    readonly at?: number;
    readonly localName?: string;
  };
}

const le = (width: number, value: number): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out.subarray(0, width);
};

/** @param align contents begin at multiples of this, as torch.save lays them out */
export function buildZip(files: readonly Packed[], { align = 1, zip64 = false, comment = '' } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const push = (...bytes: readonly Buffer[]): void => {
    for (const part of bytes) {
      parts.push(part);
      at += part.length;
    }
  };
  for (const { name, bytes, deflate = false, lie = {} } of files) {
    const packed = deflate ? deflateRawSync(bytes) : Buffer.from(bytes);
    const method = le(2, lie.method ?? (deflate ? 8 : 0));
    const size = lie.size ?? bytes.length;
    const sizes = [le(4, lie.crc ?? crc32(bytes)), le(4, lie.packed ?? packed.length), le(4, size)];
    const local = Buffer.from(lie.localName ?? name);
    const title = Buffer.from(name);
    const header = at;
    const free = (align - ((at + 30 + local.length) % align)) % align;
    push(Buffer.from('PK\x03\x04', 'latin1'), le(2, 20), le(2, lie.flags ?? 0), method, le(4, 0), ...sizes);
    push(le(2, local.length), le(2, free), local, Buffer.alloc(free), packed);
    const wide = zip64 ? Buffer.concat([le(2, 1), le(2, 24), le(8, size), le(8, packed.length), le(8, header)]) : null;
    const top = le(4, 0xffffffff);
    directory.push(Buffer.from('PK\x01\x02', 'latin1'), le(4, 20), le(2, lie.flags ?? 0), method, le(4, 0));
    directory.push(...(wide === null ? sizes : [sizes[0]!, top, top]));
    directory.push(le(2, title.length), le(2, wide?.length ?? 0), le(2, 0), le(8, 0));
    directory.push(wide === null ? le(4, lie.at ?? header) : top, title, wide ?? Buffer.alloc(0));
  }
  const start = at;
  const listing = Buffer.concat(directory);
  push(listing);
  if (zip64) {
    const end = at;
    push(Buffer.from('PK\x06\x06', 'latin1'), le(8, 44), le(4, 45), le(8, 0), le(8, files.length), le(8, files.length));
    push(le(8, listing.length), le(8, start));
    push(Buffer.from('PK\x06\x07', 'latin1'), le(4, 0), le(8, end), le(4, 1));
  }
  const count = zip64 ? 0xffff : files.length;
  push(Buffer.from('PK\x05\x06', 'latin1'), le(4, 0), le(2, count), le(2, count));
  push(zip64 ? le(4, 0xffffffff) : le(4, listing.length), zip64 ? le(4, 0xffffffff) : le(4, start));
  push(le(2, comment.length), Buffer.from(comment, 'latin1'));
  return Buffer.concat(parts);
}
