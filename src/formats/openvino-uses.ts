/** Who takes what in a network of an OpenVINO IR, seen through layers that only convert the type. */
import type { Constant, Constants, Form } from './openvino-constants.js';
import type { Layer, Network } from './openvino-ir.js';

/** One input of a layer. */
export interface Use {
  readonly layer: Layer;
  readonly input: number;
}

export interface Uses {
  /** Takers of an output of a layer. */
  of(layer: Layer, output?: number): readonly Use[];
  /** The one layer that takes anything of it, converted or not; null where there are several or none. */
  next(layer: Layer): Use | null;
  /** The layer behind an input, conversions passed over, and these. */
  behind(layer: Layer, input: number): { readonly layer: Layer; readonly converts: readonly Layer[] } | null;
  /** The constant behind an input, converted or not. */
  constant(layer: Layer, input: number): Constant | null;
  /** How many inputs take the constant in the end. */
  ends(constant: Constant): number;
}

/** Conversions in a row that are seen through: real files have two. */
const MAX_CONVERTS = 8;

export function usesIn(network: Network, constants: Constants): Uses {
  const takers = new Map<Layer, Use[][]>();
  const only = new Map<Layer, Use | null>();
  for (const layer of network.layers) {
    layer.from.forEach((source, input) => {
      const outputs = takers.get(source.layer) ?? source.layer.outputs.map(() => []);
      outputs[source.output]!.push({ layer, input });
      takers.set(source.layer, outputs);
      only.set(source.layer, only.has(source.layer) ? null : { layer, input });
    });
  }
  const of = (layer: Layer, output = 0): readonly Use[] => takers.get(layer)?.[output] ?? [];
  const ends = new Map<Layer, number>();
  // Layers stand behind those that they take from, so takers are counted first.
  for (const layer of [...network.layers].reverse()) {
    const count = of(layer).reduce((sum, use) => sum + (use.layer.type === 'Convert' ? ends.get(use.layer)! : 1), 0);
    ends.set(layer, count);
  }
  const behind: Uses['behind'] = (layer, input) => {
    const converts: Layer[] = [];
    let at = layer.from[input]?.layer;
    while (at?.type === 'Convert' && converts.length < MAX_CONVERTS) {
      converts.push(at);
      at = at.from[0]?.layer;
    }
    return at === undefined ? null : { layer: at, converts };
  };
  return {
    of,
    next(layer) {
      let use = only.get(layer) ?? null;
      for (let k = 0; use?.layer.type === 'Convert' && k < MAX_CONVERTS; k++) use = only.get(use.layer) ?? null;
      return use;
    },
    behind,
    constant(layer, input) {
      const source = behind(layer, input)?.layer;
      return (source && constants.get(source)) ?? null;
    },
    ends: (constant) => ends.get(constant.layer) ?? 0,
  };
}

/** Forms asked for by those who take the constants; one that all takers agree on is given. */
export interface Requests {
  ask(constant: Constant, form: Form): void;
  granted(uses: Uses): ReadonlyMap<Layer, Form>;
}

export function requests(): Requests {
  const asked = new Map<Constant, { readonly form: Form; readonly key: string; count: number; agree: boolean }>();
  return {
    ask(constant, form) {
      const key = JSON.stringify(form);
      const before = asked.get(constant);
      if (before === undefined) asked.set(constant, { form, key, count: 1, agree: true });
      else {
        before.count++;
        before.agree &&= before.key === key;
      }
    },
    granted: (uses) =>
      new Map(
        [...asked].flatMap(([constant, { form, count, agree }]) =>
          agree && count === uses.ends(constant) ? [[constant.layer, form] as const] : [],
        ),
      ),
  };
}
