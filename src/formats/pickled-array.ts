/**
 * A NumPy array inside a pickle: its bytes lie in the pickle itself. Source: numpy/_core/src/multiarray/methods.c
 * (`array_reduce`, `array_setstate`), descriptor.c (`arraydescr_reduce`).
 */
import { inputError } from '../base/index.js';
import { storedBytes } from './elements.js';
import { numpyType } from './numpy.js';
import { describe, isList, isObject, type PickleValue } from './pickle-value.js';
import { elementsOf } from './stored-tensor.js';
import { packedStrides } from './strided.js';
import type { TorchDType } from './torch-tensor.js';

export interface PickledArray {
  readonly bytes: Uint8Array;
  readonly dtype: TorchDType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly bigEndian: boolean;
}

const isArray = (of: string): boolean => /^numpy\._?core\.multiarray\._reconstruct$/.test(of);

/**
 * @returns null for what is no array of numbers (an array of text is a setting, not a weight)
 * @throws `NUMPY_PICKLED`, `NUMPY_OBJECT`, `NUMPY_DTYPE`, `NUMPY_SHAPE`, `NUMPY_SIZE`
 */
export function pickledArray(value: PickleValue, where: string): PickledArray | null {
  if (!isObject(value) || !isArray(value.of)) return null;
  const [, shape = null, type = null, fortran = null, content = null] = itemsOf(value.state);
  if (!isList(shape) || !isObject(type) || typeof fortran !== 'boolean') {
    throw inputError('NUMPY_PICKLED', 'an array in the pickle has no valid state', {
      got: describe(value.state),
      where,
    });
  }
  const [, order = null] = itemsOf(type.state);
  const descr = `${typeof order === 'string' ? order : ''}${describe(type.args[0] ?? null)}`;
  const { dtype, bigEndian, width } = numpyType(descr, where);
  if (dtype === 'STRING') return null;
  const sizes = shape.items as readonly number[];
  const elements = elementsOf(sizes, 'NUMPY', where);
  // Python 2 pickled bytes as text.
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  if (!(bytes instanceof Uint8Array) || bytes.length !== elements * width) {
    throw inputError('NUMPY_SIZE', 'an array in the pickle has more or fewer bytes than its type and shape need', {
      expected: `${storedBytes(dtype, elements)} bytes for ${dtype} [${sizes.join(', ')}]`,
      got: describe(content),
      where,
    });
  }
  return { bytes, dtype, shape: sizes, strides: packedStrides(sizes, fortran), bigEndian };
}

const itemsOf = (value: PickleValue): readonly PickleValue[] => (isList(value) ? value.items : []);
