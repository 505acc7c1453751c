/** All experts of a mixture in one array, as the tensors of each: what other files store apart. */
import type { Part, Tensor } from '../formats/index.js';

type Named = ReadonlyMap<string, Tensor>;
type Parts = readonly (readonly [stored: string, parts: readonly Part[]])[];

/** Names of one layer's arrays after a common beginning, first axis experts. */
interface Arrays {
  /** Router: experts × width of the model. */
  readonly router: string;
  /** Gate and up in one. */
  readonly both: string;
  readonly down: string;
  /** Biases: experts × rows. With them gate and up take turns (gpt-oss), without they follow each other. */
  readonly bothBias?: string;
  readonly downBias?: string;
  readonly to: string;
}

const ARRAYS: readonly Arrays[] = [
  {
    router: 'mlp.router.weight',
    both: 'mlp.experts.gate_up_proj',
    down: 'mlp.experts.down_proj',
    bothBias: 'mlp.experts.gate_up_proj_bias',
    downBias: 'mlp.experts.down_proj_bias',
    to: 'mlp.experts.',
  },
  {
    router: 'mlp.gate.weight',
    both: 'mlp.experts.gate_up_proj',
    down: 'mlp.experts.down_proj',
    to: 'mlp.experts.',
  },
  {
    router: 'feed_forward.router.weight',
    both: 'feed_forward.experts.gate_up_proj',
    down: 'feed_forward.experts.down_proj',
    to: 'feed_forward.experts.',
  },
  {
    router: 'block_sparse_moe.router.layer.weight',
    both: 'block_sparse_moe.input_linear.weight',
    down: 'block_sparse_moe.output_linear.weight',
    to: 'block_sparse_moe.experts.',
  },
];

/** One array for each of gate, up and down (GGUF). */
const SEPARATE = /^(.*)(ffn_(?:gate|up|down))_exps\.(weight|bias)$/;

export function expertParts(tensors: Named): Parts {
  const found: (readonly [string, readonly Part[]])[] = [];
  for (const [name, { shape }] of tensors) {
    const separate = SEPARATE.exec(name);
    if (separate !== null && shape.length === (separate[3] === 'weight' ? 3 : 2)) {
      const [, prefix, part, kind] = separate;
      found.push([name, split(shape, (e) => `${prefix}experts.${e}.${part}.${kind}`)]);
    }
    for (const arrays of ARRAYS) {
      if (name.endsWith(arrays.both)) found.push(...layerParts(arrays, name.slice(0, -arrays.both.length), tensors));
    }
  }
  return found;
}

const range = (start: number, count: number, step = 1): readonly number[] =>
  Array.from({ length: count }, (_, k) => start + k * step);

/** Every expert of an array as it is. */
function split([experts = 0, rows = 0]: readonly number[], name: (expert: number) => string): readonly Part[] {
  const positions = range(0, rows);
  return range(0, experts).map((index) => ({ name: name(index), index, axis: 0, positions }));
}

function layerParts({ router, both, down, bothBias, downBias, to }: Arrays, prefix: string, tensors: Named): Parts {
  const shapeOf = (part: string): readonly number[] => tensors.get(`${prefix}${part}`)?.shape ?? [];
  const [experts, width] = shapeOf(router);
  const [b, d] = [shapeOf(both), shapeOf(down)];
  if (experts === undefined || width === undefined || b.length !== 3 || d.length !== 3) return [];
  if (b[0] !== experts || d[0] !== experts) return [];
  const outIn = b[2] === width && d[1] === width && b[1] === 2 * d[2]!;
  const inOut = b[1] === width && d[2] === width && b[2] === 2 * d[1]!;
  // A square shape fits both: nobody can tell.
  if (outIn === inOut) return [];
  const units = outIn ? d[2]! : d[1]!;
  const takesTurns = bothBias !== undefined && tensors.has(`${prefix}${bothBias}`);
  const places = takesTurns ? [range(0, units, 2), range(1, units, 2)] : [range(0, units), range(units, units)];
  const axis = outIn ? 0 : 1;
  const layout = outIn ? {} : { outputsFirst: [1, 0] };
  const named = (expert: number, part: string): string => `${prefix}${to}${expert}.${part}`;
  const halves = (kind: 'weight' | 'bias', along: number, more: object): readonly Part[] =>
    range(0, experts).flatMap((index) =>
      ['gate_proj', 'up_proj'].map(
        (part, k): Part => ({
          name: named(index, `${part}.${kind}`),
          index,
          axis: along,
          positions: places[k]!,
          ...more,
        }),
      ),
    );
  const downs = split(d, (expert) => named(expert, 'down_proj.weight')).map((part) => ({ ...part, ...layout }));
  const found: [string, readonly Part[]][] = [
    [`${prefix}${both}`, halves('weight', axis, layout)],
    [`${prefix}${down}`, downs],
  ];
  if (takesTurns && shapeOf(bothBias).join() === `${experts},${2 * units}`) {
    found.push([`${prefix}${bothBias}`, halves('bias', 0, {})]);
  }
  if (downBias !== undefined && shapeOf(downBias).join() === `${experts},${width}`) {
    found.push([`${prefix}${downBias}`, split(shapeOf(downBias), (expert) => named(expert, 'down_proj.bias'))]);
  }
  return found;
}
