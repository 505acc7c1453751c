/**
 * TensorFlow.js layers models: the configuration in `modelTopology`, and the weights of each layer by their names. These
 * begin with the layer, or the models around it; of a wrapped layer with the wrapper or the layer inside. Source:
 * tfjs-layers/src/engine/container.ts (`loadWeights`), converters of tensorflowjs.
 */
import type { Json } from '../base/index.js';
import { isRecord, type JsonRecord, type KerasConfig, type KerasWeights, readKerasConfig } from './keras-config.js';
import { graphOfKeras, type KerasGraph } from './keras-graph.js';
import type { Tensor } from './model.js';

/**
 * @param topology `modelTopology` of a model.json
 * @returns null where it is no layers model, or its class is the author's own
 * @throws those of `readKerasConfig` and `graphOfKeras`
 */
export function graphOfTfjsLayers(
  topology: Json | undefined,
  tensors: ReadonlyMap<string, Tensor>,
  where: string,
): KerasGraph | null {
  if (!isRecord(topology)) return null;
  const json = 'model_config' in topology ? topology.model_config : topology;
  if (!isRecord(json) || typeof json.class_name !== 'string' || !('config' in json)) return null;
  const config = readKerasConfig(json, where);
  // Models of Keras 3 are loaded by the library's own defaults all the same.
  return graphOfKeras(config, weightsByLayer(config, tensors.values()), where, { hardSlope: 0.2, halfPixels: false });
}

interface Place {
  /** `outer/name` for a layer of a nested model. */
  readonly path: string;
  /** `forward/` and `backward/` of a Bidirectional. */
  readonly side: string;
}

function weightsByLayer(config: KerasConfig, tensors: Iterable<Tensor>): KerasWeights {
  const places = placesIn(config);
  const found = new Map<string, Map<string, Tensor>>();
  for (const tensor of tensors) {
    const parts = tensor.name.replace(/:\d+$/, '').split('/');
    const at = [...parts.keys()].findIndex((k) => k < parts.length - 1 && placeOf(places, parts, k) !== null);
    if (at < 0) continue;
    const { path, side } = placeOf(places, parts, at)!;
    // `td/dense/kernel`, `bidirectional/forward_lstm/lstm_cell/kernel`: the side stands behind the wrapper.
    const told = side === '' ? (/^(forward|backward)(_|$)/.exec(parts[at + 1] ?? '')?.[1] ?? '') : '';
    const isSided = told !== '' && at + 2 < parts.length;
    const name = `${isSided ? `${told}/` : side}${parts.at(-1)}`;
    const layer = found.get(path) ?? new Map<string, Tensor>();
    found.set(path, layer);
    layer.set(layer.has(name) ? parts.slice(at + 1).join('/') : name, tensor);
  }
  return found;
}

const placeOf = (places: ReadonlyMap<string, Place>, parts: readonly string[], at: number): Place | null =>
  places.get(`${parts[at - 1]}/${parts[at]}`) ?? places.get(parts[at]!) ?? null;

/** Layers by name, and by the name of the model around them before it; those inside wrappers too. */
function placesIn(config: KerasConfig): ReadonlyMap<string, Place> {
  const found = new Map<string, Place>();
  const add = (name: string, place: Place): void => {
    if (!found.has(name)) found.set(name, place);
  };
  const visit = (model: KerasConfig, around: string): void => {
    for (const { name, config: own, model: inner } of model.layers) {
      const path = `${around}${name}`;
      if (inner !== null) {
        visit(inner, `${path}/`);
        continue;
      }
      add(name, { path, side: '' });
      if (around !== '') add(`${model.name}/${name}`, { path, side: '' });
      for (const [key, side] of [
        ['layer', 'forward'],
        ['backward_layer', 'backward'],
      ] as const) {
        const wrapped = nameIn(own[key]);
        if (wrapped === null) continue;
        const bare = wrapped.replace(/^(forward|backward)_/, '');
        add(`forward_${bare}`, { path, side: 'forward/' });
        add(`backward_${bare}`, { path, side: 'backward/' });
        if (!/^(forward|backward)_/.test(wrapped)) add(wrapped, { path, side: '' });
        else add(wrapped, { path, side: `${side}/` });
      }
    }
  };
  visit(config, '');
  return found;
}

function nameIn(layer: Json | undefined): string | null {
  const config: JsonRecord = isRecord(layer) && isRecord(layer.config) ? layer.config : {};
  return typeof config.name === 'string' ? config.name : null;
}
