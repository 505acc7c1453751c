/** Where an HDF5 file begins (§II.A), and the headers of its objects: lists of messages (§IV.A.1). */
import type { ByteSource } from '../base/index.js';
import { checkedBytes } from './hdf5-checksum.js';
import { Fields, Hdf5File } from './hdf5-file.js';

const HDF5_MARK = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');

export const looksLikeHdf5 = (head: Uint8Array): boolean => HDF5_MARK.equals(head.subarray(0, HDF5_MARK.length));

/** @throws `HDF5_TRUNCATED`, `HDF5_VERSION`, `HDF5_MALFORMED`, `HDF5_CHECKSUM` */
export async function openHdf5File(
  source: ByteSource,
): Promise<{ readonly file: Hdf5File /** Of the root group's header. */; readonly root: number }> {
  const probe = new Hdf5File(source, 8, 8);
  const head = await probe.fields(0, 24);
  if (!looksLikeHdf5(await probe.bytes(0, HDF5_MARK.length))) {
    head.fail('this is no HDF5 file', { todo: 'save the model again' });
  }
  head.skip(8);
  const version = head.version(3, 'the superblock');
  if (version < 2) head.skip(4);
  const file = new Hdf5File(source, sizeIn(head), sizeIn(head));
  const { offsetSize } = file;
  let fields: Fields;
  if (version < 2) {
    // Ranks of B-trees and flags follow; version 1 adds a rank and two bytes.
    const start = version === 0 ? 24 : 28;
    fields = await file.fields(start, 5 * offsetSize + file.lengthSize);
  } else {
    await checkedBytes(file, 0, 12 + 4 * offsetSize + 4);
    fields = await file.fields(12, 4 * offsetSize);
  }
  const base = fields.place('the file’s beginning');
  if (base !== 0) {
    file.fail('LAYOUT', 'the file lies in another, behind bytes of the user’s', 0, {
      got: `base address ${base}`,
      todo: 'remove the user block (h5unjam), or save the model again',
    });
  }
  fields.address();
  const end = fields.place('the file’s end');
  if (end > source.byteLength) {
    file.fail('TRUNCATED', 'the file is shorter than it says', 0, {
      expected: `${end} bytes`,
      got: `${source.byteLength} bytes`,
      todo: 'the file is truncated; fetch it again',
    });
  }
  if (version < 2) {
    fields.address();
    // The root group's entry, as in a symbol table: its name, then its header.
    fields.skip(offsetSize);
  }
  return { file, root: fields.place('the root group') };
}

function sizeIn(head: Fields): number {
  const size = head.u8();
  if (size !== 2 && size !== 4 && size !== 8) {
    head.fail('addresses have an impossible size', { expected: '2, 4 or 8 bytes', got: `${size}` });
  }
  return size;
}

export const MESSAGE = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  oldFill: 0x04,
  fill: 0x05,
  link: 0x06,
  external: 0x07,
  layout: 0x08,
  groupInfo: 0x0a,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const;

const KNOWN = new Set<number>(Object.values(MESSAGE));
const SHARED = 0x02;
const FAIL_IF_UNKNOWN = 0x80;

export interface Message {
  readonly type: number;
  readonly body: Fields;
}

/**
 * The messages of an object that mean something here.
 * @throws `HDF5_LOOP`, `HDF5_SHARED` (parts kept outside the header), `HDF5_MESSAGE` (one that must be understood)
 */
export async function readObjectHeader(file: Hdf5File, at: number): Promise<readonly Message[]> {
  file.reach(at, 'an object');
  const messages: Message[] = [];
  const blocks: Fields[] = [];
  const first = Buffer.from(await file.bytes(at, 4)).toString('latin1') === 'OHDR';
  let walk: (block: Fields) => readonly Message[];
  if (first) {
    const { flags, block } = await newHeader(file, at);
    blocks.push(block);
    walk = (fields) => newMessages(fields, flags);
  } else {
    const head = await file.fields(at, 16);
    head.version(1, 'an object', 1);
    head.skip(7);
    blocks.push(await file.fields(at + 16, head.u32()));
    walk = oldMessages;
  }
  for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
    for (const message of walk(block)) {
      if (message.type !== MESSAGE.continuation) {
        messages.push(message);
        continue;
      }
      const place = message.body.place('more of an object’s header');
      const length = message.body.length();
      file.reach(place, 'a piece of an object’s header');
      blocks.push(first ? await continuation(file, place, length) : await file.fields(place, length));
    }
  }
  return messages;
}

async function newHeader(file: Hdf5File, at: number): Promise<{ readonly flags: number; readonly block: Fields }> {
  const head = await file.fields(at, Math.min(38, file.source.byteLength - at));
  head.skip(4);
  head.version(2, 'an object', 2);
  const flags = head.u8();
  if ((flags & 0x20) !== 0) head.skip(16);
  if ((flags & 0x10) !== 0) head.skip(4);
  const length = head.unsigned(2 ** (flags & 3));
  const start = head.position;
  const bytes = await checkedBytes(file, at, start + length + 4);
  return { flags, block: new Fields(file, bytes.subarray(start), at + start) };
}

async function continuation(file: Hdf5File, at: number, length: number): Promise<Fields> {
  const fields = new Fields(file, await checkedBytes(file, at, length), at);
  fields.signature('OCHK', 'piece of an object’s header');
  return fields;
}

function oldMessages(block: Fields): readonly Message[] {
  const found: Message[] = [];
  while (block.remaining >= 8) {
    const type = block.u16();
    const size = block.u16();
    const flags = block.u8();
    block.skip(3);
    addMessage(found, type, flags, block.part(size));
  }
  return found;
}

function newMessages(block: Fields, headerFlags: number): readonly Message[] {
  const found: Message[] = [];
  const hasOrder = (headerFlags & 0x04) !== 0;
  // What is left below the size of a message is a gap.
  while (block.remaining >= (hasOrder ? 6 : 4)) {
    const type = block.u8();
    const size = block.u16();
    const flags = block.u8();
    if (hasOrder) block.skip(2);
    addMessage(found, type, flags, block.part(size));
  }
  return found;
}

function addMessage(found: Message[], type: number, flags: number, body: Fields): void {
  body.file.count(body.at);
  if (!KNOWN.has(type)) {
    if ((flags & FAIL_IF_UNKNOWN) !== 0) {
      body.fail('an object has a part that must be understood, and is not', { got: `message ${type}` }, 'MESSAGE');
    }
    return;
  }
  if ((flags & SHARED) !== 0) {
    body.fail(
      'a type or size is kept outside the object that it describes',
      { got: `message ${type}`, todo: 'copy the arrays into a new file with h5py' },
      'SHARED',
    );
  }
  found.push({ type, body });
}
