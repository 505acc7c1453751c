/** What the libraries predict with the tree models of `vectors/formats/good/trees`. */
import { readFileSync } from 'node:fs';
import { vector } from './files.js';

interface ExpectedTrees {
  readonly probe: { readonly rows: number; readonly f32: string };
  readonly models: Readonly<
    Record<
      string,
      {
        /** Files of one name are one model. */
        readonly digest: string;
        readonly link: 'identity' | 'logit';
        readonly outputs: number;
        /** [rows × outputs]; null where the model was not made for the row. */
        readonly margins: readonly (number | null)[];
      }
    >
  >;
  /** The first threshold of a model, as it is stored, as the converter writes it, and the nearest float32. */
  readonly conversions: Readonly<
    Record<string, { readonly stored: number; readonly converted: number; readonly nearest: number }>
  >;
}

export const expectedTrees = JSON.parse(readFileSync(vector('expected-trees.json'), 'utf8')) as ExpectedTrees;

const { rows, f32 } = expectedTrees.probe;
const values = new Float32Array(Uint8Array.from(Buffer.from(f32, 'base64')).buffer);

/** Rows to predict; some values are missing. */
export const probeRows: readonly (readonly number[])[] = Array.from({ length: rows }, (_, r) => {
  const width = values.length / rows;
  return [...values.subarray(r * width, (r + 1) * width)];
});
