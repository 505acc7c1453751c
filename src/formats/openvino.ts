/**
 * OpenVINO IR, versions 10 and 11: a network of layers in XML, and beside it a file of the same name that ends in .bin,
 * in which the constants lie. Source: openvino 2022 to 2026 (`pass::Serialize`, the IR frontend).
 */
import path from 'node:path';
import { type ByteSource, inputError, MunimentError } from '../base/index.js';
import { MAX_OPENVINO_XML } from './limits.js';
import type { Model } from './model.js';
import { type ModelFiles, modelOf } from './opened.js';
import { networksIn, readConstants } from './openvino-constants.js';
import { graphOfIr } from './openvino-graph.js';
import { readIr } from './openvino-ir.js';
import type { StoredTensor } from './stored-tensor.js';
import { Names } from './tflite-tensors.js';

export const looksLikeXml = (head: Uint8Array): boolean =>
  /^\ufeff?\s*<[?!A-Za-z]/.test(Buffer.from(head).toString('utf8'));

/**
 * @returns null for XML of something else
 * @throws `OPENVINO_MALFORMED`, `OPENVINO_VERSION`, `OPENVINO_GRAPH`, `OPENVINO_TOO_MANY`, `OPENVINO_DTYPE`, `OPENVINO_SHAPE`,
 *   `OPENVINO_SIZE`, `OPENVINO_TRUNCATED`, `OPENVINO_LAYOUT`, `MODEL_PART_MISSING`, `UTF8_INVALID`
 */
export async function openOpenvino(source: ByteSource, files: ModelFiles): Promise<Model | null> {
  if (source.byteLength > MAX_OPENVINO_XML) {
    throw inputError('OPENVINO_TOO_MANY', 'the XML is larger than that of any real model', {
      expected: `at most ${MAX_OPENVINO_XML} bytes`,
      got: `${source.byteLength} bytes`,
      where: source.name,
    });
  }
  const ir = await readIr(source);
  if (ir === null) return null;
  const networks = networksIn(ir.network);
  const constants = await readConstants(networks, () => weightsBeside(source, files), source.name);
  const names = new Names();
  const titles = new Map([...constants.keys()].map((layer) => [layer, names.unique(layer.name)]));
  const tensors: StoredTensor[] = [];
  const graph = await graphOfIr(ir.network, { constants, titles, names, tensors });
  return modelOf(files, {
    format: 'openvino',
    tensors,
    graph,
    opset: null,
    metadata: new Map([['ir_version', String(ir.version)]]),
  });
}

/** The .bin of the same name. @throws `MODEL_PART_MISSING` */
async function weightsBeside(source: ByteSource, files: ModelFiles): Promise<ByteSource> {
  const name = `${path.parse(source.name).name}.bin`;
  try {
    return await files.beside(name);
  } catch (cause) {
    if (!(cause instanceof MunimentError) || !['MODEL_PART_MISSING', 'URL_STATUS'].includes(cause.code)) throw cause;
    throw inputError(
      'MODEL_PART_MISSING',
      'the weights of an OpenVINO model are missing: they lie in a .bin of its name',
      {
        expected: `${name} beside the .xml`,
        got: cause.message,
        where: source.name,
        todo: 'put both files into one folder under one name, and name the .xml or the folder',
        cause,
      },
    );
  }
}
