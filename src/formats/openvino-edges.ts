/** Layers of a network joined by its edges, each put behind those that it takes from. */
import type { Layer, Port, Source } from './openvino-ir.js';
import type { Place } from './openvino-xml.js';

type Building = { -readonly [K in keyof Layer]: Layer[K] };
/** A layer while it is read. */
export interface BuildingLayer extends Omit<Building, 'inputs' | 'outputs' | 'from'> {
  inputs: Port[];
  outputs: Port[];
  from: Source[];
}

export interface Edge {
  readonly fromLayer: number;
  readonly fromPort: number;
  readonly toLayer: number;
  readonly toPort: number;
}

export const shown = ({ id, name }: { readonly id: number; readonly name: string }): string =>
  `layer ${id}, ${name.slice(0, 200)}`;

/** Ports that are looked through one by one. */
const FEW = 8;

/** Every input is given once, by an output that is there. */
export function connect(layers: ReadonlyMap<number, BuildingLayer>, edges: readonly Edge[], place: Place): void {
  const given = new Map<BuildingLayer, (Source | undefined)[]>();
  const places = new Map<readonly Port[], ReadonlyMap<number, number>>();
  // A search through the ports for each edge would take minutes where a layer has many.
  const placeIn = (ports: readonly Port[], id: number): number | undefined => {
    if (ports.length <= FEW) {
      const place = ports.findIndex((port) => port.id === id);
      return place < 0 ? undefined : place;
    }
    const known = places.get(ports) ?? new Map(ports.map((port, k) => [port.id, k]));
    places.set(ports, known);
    return known.get(id);
  };
  for (const { fromLayer, fromPort, toLayer, toPort } of edges) {
    const [from, to] = [layers.get(fromLayer), layers.get(toLayer)];
    const output = from && placeIn(from.outputs, fromPort);
    const input = to && placeIn(to.inputs, toPort);
    if (!from || !to || output === undefined || input === undefined) {
      place.fail('GRAPH', 'an edge joins what is not there', {
        got: `from layer ${fromLayer} port ${fromPort} to layer ${toLayer} port ${toPort}`,
      });
    }
    const inputs = given.get(to) ?? [];
    if (inputs[input] !== undefined)
      place.fail('GRAPH', 'two edges give one input', { got: `port ${toPort} of ${shown(to)}` });
    inputs[input] = { layer: from, output };
    given.set(to, inputs);
  }
  for (const layer of layers.values()) {
    const inputs = given.get(layer) ?? [];
    layer.from = layer.inputs.map(
      ({ id }, k) =>
        inputs[k] ?? place.fail('GRAPH', 'no edge gives an input', { got: `port ${id} of ${shown(layer)}` }),
    );
  }
}

/** Layers may stand in any order. */
export function ordered(layers: readonly BuildingLayer[], place: Place): readonly Layer[] {
  const out: Layer[] = [];
  const state = new Map<Layer, 'entered' | 'done'>();
  for (const start of layers) {
    // Depth first, without recursion: a chain as long as the graph would exhaust the stack.
    const path: { readonly layer: Layer; next: number }[] = [];
    const enter = (layer: Layer): void => {
      if (state.get(layer) === 'entered')
        place.fail('GRAPH', 'layers take from each other in a circle', { got: shown(layer) });
      if (state.has(layer)) return;
      state.set(layer, 'entered');
      path.push({ layer, next: 0 });
    };
    enter(start);
    while (path.length > 0) {
      const top = path.at(-1)!;
      const from = top.layer.from[top.next++];
      if (from !== undefined) enter(from.layer);
      else {
        state.set(top.layer, 'done');
        out.push(path.pop()!.layer);
      }
    }
  }
  return out;
}
