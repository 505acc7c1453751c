/** Named limits on hostile input. Each is far above what real models hold, and bounds memory or time. */

/** The safetensors reference refuses longer headers; JSON of this size still parses in bounded memory. */
export const MAX_SAFETENSORS_HEADER = 100_000_000;
/** A shard index lists names only. */
export const MAX_SHARD_INDEX = 64_000_000;
/** Largest published models hold some 100,000 tensors. */
export const MAX_TENSORS = 1_000_000;
/** ONNX and safetensors models stay below 8 dimensions. */
export const MAX_RANK = 64;
/** If inside If inside Loop: real models nest two or three deep; deeper nesting would exhaust the stack. */
export const MAX_GRAPH_DEPTH = 16;
/** Nodes, attributes and values of one graph: bounds the objects a small file can make us allocate. */
export const MAX_GRAPH_ITEMS = 4_000_000;
/** A name or string attribute longer than this is not a name. */
export const MAX_STRING = 16_000_000;
/** Values read at once become float64: 2^25 of them are 256 MiB, which leaves room for their stored bytes below 512 MiB. */
export const MAX_READ_ELEMENTS = 2 ** 25;
/** Files of one model: shards and external data. */
export const MAX_FILES = 20_000;
