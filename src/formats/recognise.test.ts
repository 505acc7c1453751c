/** What a file is taken for, where its first bytes could be another format's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MunimentError, memorySource } from '../base/index.js';
import { openModel } from './index.js';
import { refusal } from './testing/files.js';

/** One tensor behind a header of so many bytes, blanks included. */
function withHeaderOf(length: number): Uint8Array {
  const header = '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.padEnd(length);
  const bytes = Buffer.alloc(8 + header.length + 1);
  bytes.writeBigUInt64LE(BigInt(header.length));
  bytes.write(header, 8);
  return bytes;
}

test('a safetensors header of any length is one, though the length spells JSON, a pickle, a zip or a gzip file', async () => {
  const spelt = [0x7b, 0x25b, 0x280, 0x380, 0x480, 0x580, 0x8b1f, 0x4b50, 0x14_4b50];
  for (const length of [...spelt, ...Array.from({ length: 200 }, (_, i) => 64 + 8 * i)]) {
    for (const name of ['m.safetensors', 'm']) {
      const model = await openModel(memorySource(withHeaderOf(length), name));
      assert.deepEqual([model.format, ...model.tensors.keys()], ['safetensors', 'w'], `${length}`);
    }
  }
});

test('another format under the name of safetensors is named', async () => {
  for (const bytes of [
    '\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03',
    '\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00',
    '<?xml version',
  ]) {
    const source = memorySource(Buffer.from(bytes, 'latin1'), 'm.safetensors');
    await assert.rejects(openModel(source), refusal('MODEL_FORMAT_NOT_READ'));
  }
});

test('a GGUF file of 123 tensors is one, however large: its mark is no length of a header', async () => {
  const head = Buffer.alloc(24);
  head.write('GGUF');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(123n, 8);
  const source = { ...memorySource(head, 'm'), byteLength: 20e9 };
  await assert.rejects(openModel(source), (error: MunimentError) => !error.code.startsWith('SAFETENSORS'));
});
