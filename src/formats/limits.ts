/** Named limits on hostile input. Each is far above what real models hold, and bounds memory or time. */

/** The safetensors reference refuses longer headers; JSON of this size still parses in bounded memory. */
export const MAX_SAFETENSORS_HEADER = 100_000_000;
/** A shard index lists names only. */
export const MAX_SHARD_INDEX = 64_000_000;
/** Largest published models hold some 100,000 tensors; each takes some 2 kB while its header is read. */
export const MAX_TENSORS = 150_000;
/** Objects and commas of a JSON header: a tensor needs one object and some eight commas. Bounds what parsing allocates. */
export const MAX_JSON_OBJECTS = MAX_TENSORS + 16;
export const MAX_JSON_VALUES = 16 * MAX_TENSORS;
/** A name in a JSON header: real ones are below 500 characters. */
export const MAX_JSON_STRING = 4_000_000;
/** ONNX and safetensors models stay below 8 dimensions. */
export const MAX_RANK = 64;
/** If inside If inside Loop: real models nest two or three deep; deeper nesting would exhaust the stack. */
export const MAX_GRAPH_DEPTH = 16;
/** Unrolled language models have some 30,000 nodes; each takes some 2 kB while its header is read. */
export const MAX_NODES = 100_000;
/** Fields of all nodes, attributes, tensors and shapes: bounds the objects that a file of two-byte fields makes us allocate. */
export const MAX_GRAPH_ITEMS = 1_500_000;
/** Numbers in all attribute lists together: weights belong in tensors (tree ensembles have some 100,000). */
export const MAX_LIST_NUMBERS = 8_000_000;
/** Names and text attributes of a model together, in bytes. */
export const MAX_TEXT = 32_000_000;
/** Values read at once become float64: 2^25 of them are 256 MiB, which leaves room for their stored bytes below 512 MiB. */
export const MAX_READ_ELEMENTS = 2 ** 25;
/** Files of one model: shards and external data. */
export const MAX_FILES = 20_000;

/** The largest mixture-of-experts checkpoints have some 70,000 storages, each one entry of some 120 bytes. */
export const MAX_ZIP_ENTRIES = 200_000;
export const MAX_ZIP_DIRECTORY = 64_000_000;
/** Real weights deflate by 1.1 to 4, pruned ones by up to 50; deflate itself ends at 1032. */
export const MAX_DEFLATE_RATIO = 200;
/** Whatever its ratio, this much costs neither memory nor time (masks and zeros deflate by 1000). */
export const MAX_INFLATED_UNQUESTIONED = 64 * 1024 * 1024;
/** Inflated contents kept while in use, so that rows can be read in any order. */
export const MAX_INFLATED_KEPT = 64 * 1024 * 1024;
/** A pickle holds names and shapes only: of 100,000 tensors some 20 MB. */
export const MAX_PICKLE_BYTES = 64_000_000;
/** A tensor takes some 40 opcodes, ten objects and eight remembered values; an object some 100 bytes. */
export const MAX_PICKLE_OPCODES = 6_000_000;
export const MAX_PICKLE_OBJECTS = 1_600_000;
export const MAX_PICKLE_MEMO = 1_600_000;
/** Arrays pickled as bytes; weights lie outside the pickle. */
export const MAX_PICKLE_STRING = 32_000_000;
/** Integers in bytes: the largest real one, the magic number, has 10. */
export const MAX_PICKLE_INTEGER = 16;
/** A tensor made by repeating few stored values (`expand`): masks and position tables stay below this. */
export const MAX_EXPANDED = 2 ** 24;
/** Dictionaries, lists and modules in one another: real checkpoints nest below 20. */
export const MAX_TORCH_DEPTH = 100;
/** Values met while names are given: shared parts count as often as they are named, or a small file would name billions. */
export const MAX_TORCH_VISITS = 2_000_000;
/** Characters of all dotted names, of values beside tensors too. */
export const MAX_TORCH_NAMES = 256_000_000;
/** Numbers and short texts kept from beside the weights. */
export const MAX_PICKLE_METADATA = 1000;
/** Real `.npy` headers have some 100 bytes; NumPy itself refuses above 10,000. */
export const MAX_NUMPY_HEADER = 64 * 1024;
/** A NumPy header nests a shape in a dictionary; structured types, which are not read, nest a few more. */
export const MAX_LITERAL_DEPTH = 8;

/** Real GGUF files have some 50 keys. */
export const MAX_GGUF_KEYS = 65_536;
/** Keys and tensor names: the format allows 65,535 and 64 bytes; programs that write longer tensor names use 128. */
export const MAX_GGUF_KEY = 65_535;
export const MAX_GGUF_NAME = 1024;
/** Texts in all lists together: the largest vocabularies have some 260,000 tokens and twice as many merges. */
export const MAX_GGUF_STRINGS = 4_000_000;
/** Longer lists are vocabularies and scores; they are counted, not kept. */
export const MAX_GGUF_LISTED = 64;
/** ggml's tensors have at most four axes. */
export const MAX_GGUF_RANK = 4;

/** `model.json` of the largest graph models has some 20 MB. */
export const MAX_TFJS_JSON = 64_000_000;
/** As the largest vocabularies. */
export const MAX_TFJS_STRINGS = 4_000_000;
/** Tables and list elements of a FlatBuffer: TFLite models of 10,000 operators have some 150,000. */
export const MAX_FLATBUFFER_PARTS = 400_000;
/** Branches and bodies of loops: real models have some hundred at most. */
export const MAX_TFLITE_GRAPHS = 10_000;

/** A text or JSON model is parsed whole: 256 MB of JSON are some 2.5 million nodes, more than published ensembles have. */
export const MAX_TREE_FILE = 256_000_000;
/** Nodes of one model, 100 bytes each while it is read. */
export const MAX_TREE_NODES = 3_000_000;
/** Leaf values, categories or numbers of one list: vector leaves have one value a class. */
export const MAX_TREE_VALUES = 8_000_000;
/** Trees of one model: the largest have some ten thousand rounds of some hundred classes. */
export const MAX_TREES = 1_000_000;
/** Inputs with names: hashed texts have some 260,000. */
export const MAX_TREE_INPUTS = 1_000_000;

/** An IR has some 20 elements a layer, most of them sizes: of a language model some 200,000. */
export const MAX_XML_ELEMENTS = 1_500_000;
/** The IR nests six deep, and four for each body of a loop or branch. */
export const MAX_XML_DEPTH = 128;
/** Real operators have below 30. */
export const MAX_XML_ATTRIBUTES = 256;
/** One name, text or attribute, in characters: real ones are below 1000. */
export const MAX_XML_TOKEN = 1_000_000;
/** Constants and conversions count: a language model of 80 blocks has some 15,000. Each takes some 10 kB while it is read. */
export const MAX_OPENVINO_LAYERS = 40_000;
/** The largest IRs of language models have some 20 MB of XML. */
export const MAX_OPENVINO_XML = 128_000_000;
/** Names and attributes of all layers together, in characters. */
export const MAX_OPENVINO_TEXT = 64_000_000;
/** Numbers of one constant that an operator takes as shape, axes or borders. */
export const MAX_OPENVINO_INTS = 64;
/** Numbers of a recurrent layer's first state, as wide as the layer. */
export const MAX_OPENVINO_STATE = 65_536;

/** Elements read at once to pick a part of a tensor from them: 32 MB of float64. */
export const MAX_PART_WINDOW = 2 ** 22;
/** Runs of bytes of a part that can be written: columns of GPT-2's fused projections lie in some 1,600. */
export const MAX_PART_STRETCHES = 4096;
/** `config.json` of the largest published models has some 20 kB. */
export const MAX_CONFIG_JSON = 1_000_000;
/** Entries kept of it: real ones have some 150 on two levels. */
export const MAX_CONFIG_ENTRIES = 1000;
/** Longer texts of it are no settings. */
export const MAX_CONFIG_TEXT = 256;

/** Objects, messages of their headers, links, nodes of their indexes: a weight of a Keras model takes some 15. */
export const MAX_HDF5_PARTS = 3_000_000;
/** Headers, indexes and heaps read on opening: of 150,000 arrays some 80 MB. */
export const MAX_HDF5_STRUCTURE = 256_000_000;
/** Groups in one another: nested models of wrappers of layers take some ten. */
export const MAX_HDF5_DEPTH = 64;
/** A chunk is unpacked whole: h5py makes them of 1 MiB at most unless told otherwise. */
export const MAX_HDF5_CHUNK = 64 * 1024 * 1024;
/** Unpacked chunks kept, so that rows of them can be read one by one. */
export const MAX_HDF5_CHUNKS_KEPT = 64 * 1024 * 1024;
/** The largest `config.json` of published models have some 5 MB. */
export const MAX_KERAS_CONFIG = 64_000_000;
