/** MT19937 (Matsumoto & Nishimura, ACM TOMACS 8, 1998), and the uniform floats that PyTorch's CPU generator makes of it. */

const N = 624;
const M = 397;

/** @param seed 0 … 2^32 − 1; `torch.manual_seed` seeds its CPU generator in the same way */
export function mersenneTwister(seed: number): () => number {
  const state = new Uint32Array(N);
  state[0] = seed >>> 0;
  for (let i = 1; i < N; i++) {
    const before = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = Math.imul(1812433253, before) + i;
  }
  let at = N;
  return () => {
    if (at === N) {
      for (let k = 0; k < N; k++) {
        const y = (state[k]! & 0x80000000) | (state[(k + 1) % N]! & 0x7fffffff);
        state[k] = state[(k + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  };
}

/** `torch.rand` in float32 on the CPU: the low 24 bits of one draw, times 2^−24. */
export function torchUniform(seed: number): () => number {
  const next = mersenneTwister(seed);
  return () => (next() & 0xffffff) / 16777216;
}
