/** What fixed and extensible arrays of addresses have in common (§VII.C, VII.D). */
import { checkedBytes } from './hdf5-checksum.js';
import { Fields, type Hdf5File } from './hdf5-file.js';

/** Element `number` of an array of addresses, with size and mask where chunks are filtered; null where never written. */
export type ElementOf = (number: number) => Promise<Fields | null>;

/** Checked bytes of a part of an array of addresses, behind its signature, version and client. */
export async function arrayPart(
  file: Hdf5File,
  at: number,
  length: number,
  signature: string,
): Promise<{ readonly fields: Fields; readonly client: number }> {
  const fields = new Fields(file, await checkedBytes(file, at, length), at);
  fields.signature(signature, 'part of an index of chunks');
  fields.version(0, 'an index of chunks');
  return { fields, client: fields.u8() };
}
