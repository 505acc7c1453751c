/**
 * Feed-forward blocks of transformers by the names that their families use, those of experts included. Their hidden units
 * are exchangeable whatever the rest of the model does: a unit is one row of the up (and gate) projection and one column
 * of the down projection, and what lies between works on each by itself.
 */
import type { NamedShape } from './names.js';
import type { Segment, UnitGroup } from './types.js';

/** The block's tensors after a common beginning. */
interface Block {
  readonly family: string;
  /** Units are rows of each (canonical: outputs first). */
  readonly up: readonly string[];
  /** One number a unit, where the block has it. */
  readonly bias: readonly string[];
  /** Units are columns. */
  readonly down: string;
  /** Gate and up in one tensor, one after the other. */
  readonly fused?: boolean;
  /** Stored in × out where it has fewer rows than columns (GPT-2's own linear layer). */
  readonly inOut?: boolean;
}

const BLOCKS: readonly Block[] = [
  {
    family: 'Llama, Mistral, Qwen, Gemma',
    up: ['gate_proj.weight', 'up_proj.weight'],
    bias: ['gate_proj.bias', 'up_proj.bias'],
    down: 'down_proj.weight',
  },
  { family: 'Phi-3', up: ['gate_up_proj.weight'], bias: [], down: 'down_proj.weight', fused: true },
  { family: 'Mixtral', up: ['w1.weight', 'w3.weight'], bias: [], down: 'w2.weight' },
  {
    family: 'GGUF',
    up: ['ffn_gate.weight', 'ffn_up.weight'],
    bias: ['ffn_gate.bias', 'ffn_up.bias'],
    down: 'ffn_down.weight',
  },
  { family: 'GGUF without a gate', up: ['ffn_up.weight'], bias: ['ffn_up.bias'], down: 'ffn_down.weight' },
  { family: 'GPT-2', up: ['c_fc.weight'], bias: ['c_fc.bias'], down: 'c_proj.weight', inOut: true },
  {
    family: 'BERT, ViT',
    up: ['intermediate.dense.weight'],
    bias: ['intermediate.dense.bias'],
    down: 'output.dense.weight',
  },
  { family: 'Whisper, BART, CLIP', up: ['fc1.weight'], bias: ['fc1.bias'], down: 'fc2.weight' },
  {
    family: 'GPT-NeoX, BLOOM, Falcon',
    up: ['dense_h_to_4h.weight'],
    bias: ['dense_h_to_4h.bias'],
    down: 'dense_4h_to_h.weight',
  },
  { family: 'torch.nn.Transformer', up: ['linear1.weight'], bias: ['linear1.bias'], down: 'linear2.weight' },
  { family: 'T5 with a gate', up: ['wi_0.weight', 'wi_1.weight'], bias: [], down: 'wo.weight' },
  { family: 'T5', up: ['wi.weight'], bias: [], down: 'wo.weight' },
];

interface Found {
  readonly block: Block;
  readonly prefix: string;
}

/** A block belongs to a numbered layer; `fc1` and `fc2` alone are a plain stack. */
const NUMBERED = /(^|[._/])\d+[._/]/;

/** The first family whose tensors are all there; each tensor serves one block. */
function blocksIn(names: ReadonlySet<string>): readonly Found[] {
  const used = new Set<string>();
  const found: Found[] = [];
  for (const name of names) {
    for (const block of BLOCKS) {
      const [first] = block.up;
      if (!name.endsWith(first!)) continue;
      const prefix = name.slice(0, -first!.length);
      const all = [...block.up, block.down].map((part) => `${prefix}${part}`);
      const whole = (prefix === '' || /[._/]$/.test(prefix)) && NUMBERED.test(prefix);
      if (!whole || all.some((part) => !names.has(part) || used.has(part))) continue;
      for (const part of all) used.add(part);
      found.push({ block, prefix });
    }
  }
  return found.sort((a, b) => a.prefix.localeCompare(b.prefix, 'en', { numeric: true }));
}

/**
 * Canonical axis order of tensors that a family stores in × out; null where the name says nothing. StarCoder names its
 * tensors as GPT-2 does and stores them outputs first, so that shapes decide.
 * @param shapes of all tensors of the model, as stored
 */
export function axesOfFamily(
  shapes: ReadonlyMap<string, { readonly shape: readonly number[]; readonly outputsFirst?: readonly number[] }>,
): (name: string) => readonly number[] | null {
  const turned = new Set(
    blocksIn(new Set(shapes.keys())).flatMap(({ block, prefix }) => {
      if (block.inOut !== true) return [];
      const [rows = 0, columns = 0] = shapes.get(`${prefix}${block.up[0]}`)!.shape;
      return rows > columns ? [] : [...block.up, block.down].map((part) => `${prefix}${part}`);
    }),
  );
  for (const [name, { outputsFirst }] of shapes) {
    const attention = /^(.*attn\.)c_attn\.q\.weight$/.exec(name);
    if (attention !== null && outputsFirst !== undefined) turned.add(`${attention[1]}c_proj.weight`);
  }
  return (name) => (turned.has(name) ? [1, 0] : null);
}

export interface FeedForward {
  readonly prefix: string;
  /** Rows are units. */
  readonly up: readonly string[];
  /** One number a unit. */
  readonly bias: readonly string[];
  readonly down: string;
  readonly group: UnitGroup;
}

/** Every feed-forward block whose shapes fit, in natural order of names. Shapes are canonical. */
export function feedForwardBlocks(tensors: readonly NamedShape[]): readonly FeedForward[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return blocksIn(new Set(byName.keys())).flatMap((found) => {
    const group = groupOf(found, byName);
    if (group === null) return [];
    const { block, prefix } = found;
    const full = (parts: readonly string[]): string[] => parts.map((part) => `${prefix}${part}`);
    return [{ prefix, up: full(block.up), bias: full(block.bias), down: `${prefix}${block.down}`, group }];
  });
}

const along = (tensor: string, axis: number, start = 0): Segment => ({
  tensor,
  axis,
  start,
  unitStride: 1,
  repeat: 1,
  repeatStride: 1,
});

function groupOf({ block, prefix }: Found, byName: ReadonlyMap<string, NamedShape>): UnitGroup | null {
  const shapeOf = (part: string): readonly number[] | undefined => byName.get(`${prefix}${part}`)?.shape;
  const down = shapeOf(block.down)!;
  const size = down[1];
  if (down.length !== 2 || size === undefined || size < 2) return null;
  const rows = block.fused === true ? 2 * size : size;
  if (block.up.some((part) => shapeOf(part)!.length !== 2 || shapeOf(part)![0] !== rows)) return null;
  const starts = block.fused === true ? [0, size] : [0];
  const biases = block.bias.filter((part) => shapeOf(part)?.join() === String(rows));
  return {
    id: `units ${prefix}${block.down}`,
    size,
    vouched: 'names',
    incoming: [...block.up, ...biases].flatMap((part) => starts.map((start) => along(`${prefix}${part}`, 0, start))),
    outgoing: [along(`${prefix}${block.down}`, 1)],
    // Between them stands a gate or an activation that no family vouches to be homogeneous.
    scaling: 'none',
    label: `${prefix}feed-forward (${block.family})`,
  };
}
