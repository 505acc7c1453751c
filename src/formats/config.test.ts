import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { buildSafetensors, openModel } from './index.js';

const weights = (name: string) =>
  buildSafetensors({ [name]: { dtype: 'F32', shape: [2], values: [1, 2] } }, { format: 'pt' });

async function metadataOf(
  config: string | null,
  { name = 'h.0.attn.weight', file = 'config.json', place = '.' } = {},
): Promise<{ metadata: Record<string, string>; files: number }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'config-'));
  try {
    const inside = path.join(folder, place);
    await mkdir(inside, { recursive: true });
    await writeFile(path.join(inside, 'model.safetensors'), weights(name));
    if (config !== null) {
      const blob = path.join(folder, 'blobs');
      await mkdir(blob, { recursive: true });
      if (place === '.') await writeFile(path.join(inside, file), config);
      else {
        await writeFile(path.join(blob, 'abc'), config);
        await symlink(path.join(blob, 'abc'), path.join(inside, file));
      }
    }
    const model = await openModel(path.join(inside, 'model.safetensors'));
    try {
      return { metadata: Object.fromEntries(model.metadata), files: model.sources.length };
    } finally {
      await model.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('settings beside the weights are metadata, and no file of the model', async () => {
  const config = JSON.stringify({
    num_attention_heads: 32,
    tie_word_embeddings: false,
    architectures: ['LlamaForCausalLM'],
    text_config: { head_dim: 128, list: [1, 2] },
    nothing: null,
  });
  assert.deepEqual(await metadataOf(config), {
    metadata: {
      format: 'pt',
      'config.num_attention_heads': '32',
      'config.tie_word_embeddings': 'false',
      'config.architectures': 'LlamaForCausalLM',
      'config.text_config.head_dim': '128',
    },
    files: 1,
  });
});

test('params.json serves where there is no config.json', async () => {
  const { metadata } = await metadataOf('{"n_heads": 8}', { file: 'params.json' });
  assert.equal(metadata['config.n_heads'], '8');
});

test('without settings, or without attention, there is nothing', async () => {
  assert.deepEqual((await metadataOf(null)).metadata, { format: 'pt' });
  assert.deepEqual((await metadataOf('{"a": 1}', { name: 'conv.weight' })).metadata, { format: 'pt' });
});

test('a file that is no settings is said, and the weights are read', async () => {
  for (const bad of ['{"a": ', '{"a": 1, "a": 2}', `[${'[],'.repeat(500_000)}[]]`, 'x'.repeat(2_000_000)]) {
    const { config, format } = (await metadataOf(bad)).metadata;
    assert.equal(format, 'pt');
    assert.match(config!, /^config\.json (was not read|is too long)/);
  }
});

test('a file of metadata has the last word', async () => {
  assert.equal((await metadataOf('{"format": 1}')).metadata.format, 'pt');
});

test('links out of the folder are not followed, but into the blobs of a download cache', async () => {
  assert.deepEqual((await metadataOf('{"a": 1}', { place: 'elsewhere' })).metadata, { format: 'pt' });
  const revision = `snapshots/${'0123456789abcdef'.repeat(3).slice(0, 40)}`;
  assert.deepEqual((await metadataOf('{"a": 1}', { place: revision })).metadata, { format: 'pt', 'config.a': '1' });
});
