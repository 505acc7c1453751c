/**
 * Unit groups of transformers from the names that their families use, where there is no graph: the hidden units of each
 * feed-forward block, and of each expert of a mixture. They are exchangeable whatever the rest of the model does: a unit
 * is one row of the up (and gate) projection and one column of the down projection, and what lies between works on each
 * by itself. Heads need the number of heads, which shapes do not tell; the residual stream is no group of its own here.
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
  /** Stored in × out (GPT-2's own linear layer). */
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
 * Canonical axis order of tensors that a family stores in × out; null where the name says nothing.
 * @param names of all tensors of the model
 */
export function axesOfFamily(names: ReadonlySet<string>): (name: string) => readonly number[] | null {
  const turned = new Set(
    blocksIn(names).flatMap(({ block, prefix }) =>
      block.inOut === true ? [...block.up, block.down].map((part) => `${prefix}${part}`) : [],
    ),
  );
  return (name) => (turned.has(name) ? [1, 0] : null);
}

/** null: no family's names are here. Shapes are canonical. */
export function groupsOfFamily(tensors: readonly NamedShape[]): readonly UnitGroup[] | null {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const groups = blocksIn(new Set(byName.keys())).flatMap((found) => {
    const group = groupOf(found, byName);
    return group === null ? [] : [group];
  });
  return groups.length === 0 ? null : groups.map((group, index) => ({ ...group, id: `g${index}` }));
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
    id: '',
    size,
    vouched: 'names',
    incoming: [...block.up, ...biases].flatMap((part) => starts.map((start) => along(`${prefix}${part}`, 0, start))),
    outgoing: [along(`${prefix}${block.down}`, 1)],
    // Between them stands a gate or an activation that no family vouches to be homogeneous.
    scaling: 'none',
    label: `${prefix}feed-forward (${block.family})`,
  };
}
