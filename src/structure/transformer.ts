/**
 * Unit groups of transformers without a graph, from names, shapes and what the file says of its heads: the residual
 * stream, heads and their dimensions, experts, hidden units. Outer groups come before those within them.
 */
import { type AttentionBlock, attentionBlocks } from './attention.js';
import { expertGroupsOf } from './experts.js';
import { feedForwardBlocks } from './families.js';
import { headGroups } from './head-groups.js';
import type { NamedShape } from './names.js';
import { residualGroup } from './residual.js';
import type { Metadata } from './settings.js';
import type { TensorNature, UnitGroup } from './types.js';

export interface TransformerGroups {
  readonly groups: readonly UnitGroup[];
  readonly leftOut: readonly { readonly tensor: string; readonly reason: string }[];
}

/** null: no family's names are here. Shapes are canonical, fused tensors taken apart. */
export function transformerGroups(
  tensors: readonly (NamedShape & { readonly nature: TensorNature })[],
  metadata: Metadata,
): TransformerGroups | null {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const attention = attentionBlocks(tensors, metadata);
  const experts = expertGroupsOf(tensors, metadata);
  const feedForward = feedForwardBlocks(tensors);
  const heads = attention.flatMap((block) => headGroups(block, byName));
  const routers = experts.flatMap(({ group }) => group.incoming.map(({ tensor }) => tensor));
  const residual = arePositionsKnown(attention)
    ? residualGroup(tensors, {
        attention,
        feedForward: feedForward.map(({ up, bias, down }) => ({ up, down, others: bias })),
        routers: routers.filter((name) => byName.get(name)!.shape.length === 2),
        beside: routers.filter((name) => byName.get(name)!.shape.length === 1),
      })
    : null;
  const unitOf = new Map(
    experts.flatMap(({ group, unitOf: units }) => [...units].map(([name, unit]) => [name, { group: group.id, unit }])),
  );
  const hidden = feedForward.map(({ down, group }) => {
    const within = unitOf.get(down);
    return within === undefined ? group : { ...group, within };
  });
  const groups = [...(residual === null ? [] : [residual]), ...heads, ...experts.map(({ group }) => group), ...hidden];
  return groups.length === 0 ? null : { groups: numbered(groups), leftOut: unknownHeads(attention) };
}

/** Sinusoids may be added to the residual stream without being stored: then its places have names. */
const arePositionsKnown = (attention: readonly AttentionBlock[]): boolean =>
  attention.length > 0 && attention.every(({ positions }) => positions !== 'unknown' && positions !== 'closed');

function numbered(groups: readonly UnitGroup[]): readonly UnitGroup[] {
  const ids = new Map(groups.map(({ id }, index) => [id, `g${index}`]));
  return groups.map((group) => ({
    ...group,
    id: ids.get(group.id)!,
    ...(group.within === undefined ? {} : { within: { ...group.within, group: ids.get(group.within.group)! } }),
  }));
}

const unknownHeads = (attention: readonly AttentionBlock[]): TransformerGroups['leftOut'] =>
  attention
    .filter(({ heads }) => heads === null)
    .flatMap(({ q, k, v, o }) =>
      [q, k, v, o].map((stem) => ({
        tensor: `${stem}.weight`,
        reason: 'the number of attention heads is not known: neither settings beside the weights nor shapes tell it',
      })),
    );
