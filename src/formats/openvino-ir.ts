/**
 * The networks of an OpenVINO IR: layers with ports, joined by edges; bodies of loops and branches are networks in their
 * layer. Source: the IR as openvino 2022 to 2026 writes and reads it (versions 10 and 11, `pass::Serialize`, `ir_deserializer`).
 */
import type { ByteSource } from '../base/index.js';
import { MAX_GRAPH_DEPTH, MAX_GRAPH_ITEMS, MAX_OPENVINO_LAYERS, MAX_OPENVINO_TEXT } from './limits.js';
import { type BuildingLayer, connect, type Edge, ordered, shown } from './openvino-edges.js';
import { type ElementReader, type Place, readXml, type XmlAttributes } from './openvino-xml.js';

export interface Port {
  readonly id: number;
  /** Null for a size that is known when the model runs; the whole is null where none is given: a scalar, or of any rank. */
  readonly shape: readonly (number | null)[] | null;
  /** Of outputs: `FP32`, … */
  readonly precision: string;
  /** Of outputs: names that the values had where the model comes from. */
  readonly names: readonly string[];
}

/** Which value a port of the layer has as a Parameter or Result of its body. */
export interface PortMap {
  readonly inputs: ReadonlyMap<number, number>;
  /** External port → id of the Result inside. */
  readonly outputs: ReadonlyMap<number, number>;
}

export interface Layer {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly version: string;
  /** Attributes of `<data>`. */
  readonly data: XmlAttributes;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** `body`, or `then_body` and `else_body`. */
  readonly bodies: ReadonlyMap<string, Network>;
  /** By the same names. */
  readonly maps: ReadonlyMap<string, PortMap>;
  /** Where each input comes from, in the order of `inputs`. */
  readonly from: readonly Source[];
}

/** An output of a layer. */
export interface Source {
  readonly layer: Layer;
  /** Its place in the layer's `outputs`. */
  readonly output: number;
}

export interface Network {
  readonly name: string;
  /** Each behind those that it takes from. */
  readonly layers: readonly Layer[];
}

/** What all networks of a file may hold together. */
interface Budget {
  layers: number;
  items: number;
  text: number;
}

export interface Ir {
  readonly version: number;
  readonly network: Network;
}

/**
 * @returns null for XML of something else
 * @throws `OPENVINO_MALFORMED`, `OPENVINO_VERSION`, `OPENVINO_GRAPH`, `OPENVINO_TOO_MANY`, `UTF8_INVALID`
 */
export async function readIr(source: ByteSource): Promise<Ir | null> {
  const budget: Budget = { layers: 0, items: 0, text: 0 };
  let version = 0;
  let network: Network | null = null;
  const isIr = await readXml(source, 'OPENVINO', (name, attributes, place) => {
    if (name !== 'net') return null;
    version = versionOf(attributes, place);
    return networkReader(attributes.name ?? '', budget, 0, (read) => {
      network = read;
    });
  });
  return isIr && network !== null ? { version, network } : null;
}

function versionOf({ version }: XmlAttributes, place: Place): number {
  if (version === '10' || version === '11') return Number(version);
  return place.fail('VERSION', 'the IR is of a version that is not read', {
    expected: '10 or 11 (OpenVINO 2021 or later)',
    got: version === undefined ? 'no version' : `version ${version.slice(0, 20)}`,
    todo: 'convert the original model again: openvino.convert_model, openvino.save_model (of OpenVINO 2023 or later)',
  });
}

function networkReader(name: string, budget: Budget, depth: number, done: (network: Network) => void): ElementReader {
  const layers = new Map<number, BuildingLayer>();
  const edges: Edge[] = [];
  const addLayer = (attributes: XmlAttributes, place: Place): ElementReader => {
    if (++budget.layers > MAX_OPENVINO_LAYERS) place.fail('TOO_MANY', `more than ${MAX_OPENVINO_LAYERS} layers`);
    const layer: BuildingLayer = {
      id: integerOf(attributes, 'id', place),
      name: textOf(attributes, 'name', budget, place),
      type: textOf(attributes, 'type', budget, place),
      version: attributes.version ?? '',
      data: {},
      inputs: [],
      outputs: [],
      from: [],
      bodies: NONE,
      maps: NONE,
    };
    if (layers.has(layer.id))
      place.fail('GRAPH', 'two layers have the same id', { got: `${layer.id}, the second is ${shown(layer)}` });
    layers.set(layer.id, layer);
    return layerReader(layer, budget, depth);
  };
  return {
    open(section) {
      if (section === 'layers')
        return { open: (child, attributes, place) => (child === 'layer' ? addLayer(attributes, place) : null) };
      if (section !== 'edges') return null;
      return {
        open(child, attributes, place) {
          if (child !== 'edge') return null;
          spend(budget, 1, place);
          edges.push({
            fromLayer: integerOf(attributes, 'from-layer', place),
            fromPort: integerOf(attributes, 'from-port', place),
            toLayer: integerOf(attributes, 'to-layer', place),
            toPort: integerOf(attributes, 'to-port', place),
          });
          return null;
        },
      };
    },
    close(place) {
      connect(layers, edges, place);
      done({ name, layers: ordered([...layers.values()], place) });
    },
  };
}

/** Few layers have bodies, and a hundred thousand empty maps are not nothing. */
const NONE: ReadonlyMap<string, never> = new Map<string, never>();
const MAPS: Readonly<Record<string, string>> = {
  port_map: 'body',
  then_port_map: 'then_body',
  else_port_map: 'else_body',
};

function layerReader(layer: BuildingLayer, budget: Budget, depth: number): ElementReader {
  return {
    open(name, attributes, place) {
      if (name === 'data') {
        for (const value of Object.values(attributes)) spendText(budget, value.length, place);
        layer.data = attributes;
        return null;
      }
      if (name === 'input' || name === 'output') return portsReader(layer, name, budget);
      if (name === 'body' || name === 'then_body' || name === 'else_body') {
        if (depth + 1 > MAX_GRAPH_DEPTH) place.fail('TOO_MANY', `bodies more than ${MAX_GRAPH_DEPTH} deep`);
        return networkReader(`${layer.name}/${name}`, budget, depth + 1, (network) => {
          layer.bodies = new Map([...layer.bodies, [name, network]]);
        });
      }
      const body = Object.hasOwn(MAPS, name) ? MAPS[name] : undefined;
      return body === undefined ? null : mapReader(layer, body, budget);
    },
  };
}

function portsReader(layer: BuildingLayer, side: 'input' | 'output', budget: Budget): ElementReader {
  const ports = side === 'input' ? layer.inputs : layer.outputs;
  const ids = new Set<number>();
  return {
    open(name, attributes, place) {
      if (name !== 'port') return null;
      const id = integerOf(attributes, 'id', place);
      if (ids.has(id))
        place.fail('GRAPH', 'two ports of a layer have the same id', { got: `${id} of ${shown(layer)}` });
      ids.add(id);
      spend(budget, 1, place);
      const sizes: (number | null)[] = [];
      const names = attributes.names === undefined ? '' : textOf(attributes, 'names', budget, place);
      return {
        open: (child) =>
          child !== 'dim'
            ? null
            : {
                text(text, where) {
                  spend(budget, 1, where);
                  sizes.push(sizeOf(text.trim(), where));
                },
              },
        close: () => {
          const shape = sizes.length === 0 ? null : sizes;
          ports.push({ id, shape, precision: attributes.precision ?? '', names: namesIn(names) });
        },
      };
    },
  };
}

/** Names stand one after the other with commas between; a comma of a name stands behind a backslash. */
const namesIn = (text: string): readonly string[] =>
  text === '' ? [] : text.split(/(?<!\\),/).map((name) => name.replaceAll('\\,', ','));

function mapReader(layer: BuildingLayer, body: string, budget: Budget): ElementReader {
  const map = { inputs: new Map<number, number>(), outputs: new Map<number, number>() };
  layer.maps = new Map([...layer.maps, [body, map]]);
  return {
    open(name, attributes, place) {
      const side = name === 'input' ? map.inputs : name === 'output' ? map.outputs : null;
      // A loop's own condition and counter have no port outside: -1.
      if (side === null || attributes.external_port_id?.startsWith('-')) return null;
      spend(budget, 1, place);
      side.set(integerOf(attributes, 'external_port_id', place), integerOf(attributes, 'internal_layer_id', place));
      return null;
    },
  };
}

function sizeOf(text: string, place: Place): number | null {
  if (text === '-1') return null;
  if (!/^\d{1,15}$/.test(text)) place.fail('MALFORMED', 'a size is no number', { got: text.slice(0, 40) });
  return Number(text);
}

function integerOf(attributes: XmlAttributes, name: string, place: Place): number {
  const text = attributes[name];
  if (text === undefined || !/^\d{1,9}$/.test(text)) {
    return place.fail('MALFORMED', `an element lacks its ${name}`, {
      expected: 'a number from 0',
      got: text?.slice(0, 40) ?? 'none',
    });
  }
  return Number(text);
}

function textOf(attributes: XmlAttributes, name: string, budget: Budget, place: Place): string {
  const text = attributes[name];
  if (text === undefined) return place.fail('MALFORMED', `a layer lacks its ${name}`);
  spendText(budget, text.length, place);
  return text;
}

function spendText(budget: Budget, length: number, place: Place): void {
  budget.text += length;
  if (budget.text > MAX_OPENVINO_TEXT)
    place.fail('TOO_MANY', `names and attributes of more than ${MAX_OPENVINO_TEXT} characters`);
}

function spend(budget: Budget, items: number, place: Place): void {
  budget.items += items;
  if (budget.items > MAX_GRAPH_ITEMS) place.fail('TOO_MANY', `more than ${MAX_GRAPH_ITEMS} ports, sizes and edges`);
}
