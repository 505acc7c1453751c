/**
 * The initialiser of every net trained here, fixed by a public seed so that anyone can regenerate it:
 * `detect` regenerates popular seeds before it speaks of a common origin (docs/theory.md §6).
 */
import { seededRandom } from '../base/index.js';
import { type NetSpec, planNet } from './net.js';

/**
 * Weights and biases uniform on ±1/√fan-in, tensors in order from the input, elements in row-major order, from one
 * stream: the same distribution as PyTorch's default for linear and convolutional layers, with a generator of our own.
 * @param seed any integer
 * @returns the flat parameter vector in the layout of `planNet`
 */
export function initialise(spec: NetSpec, seed: number): Float32Array {
  const { parameters, size } = planNet(spec);
  const stream = seededRandom(seed, 'initialise');
  const flat = new Float32Array(size);
  for (const { offset, elements, fanIn } of parameters) {
    const bound = 1 / Math.sqrt(fanIn);
    for (let i = 0; i < elements; i++) flat[offset + i] = (2 * stream.unit() - 1) * bound;
  }
  return flat;
}
