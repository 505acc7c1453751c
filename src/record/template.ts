/** `record --template`: every field of a kind as commented YAML, made from its schema, so that it cannot lag behind. */
import { stringify } from 'yaml';
import type { Json } from '../base/index.js';
import { type AssetKind, identityFields, relations } from './kinds.js';
import { type SchemaNode, schemaOf } from './schema.js';

/** Filled in by `record` itself. */
const COMPUTED: ReadonlySet<string> = new Set([
  'content',
  'supersedes',
  'source',
  'nodes',
  'edges',
  'operations',
  'graph',
  'format',
  'main',
  'tensors',
  'weights',
]);

/** A part of a data set takes these as the whole does; shown once is enough. */
const COMMON: ReadonlySet<string> = new Set(['authors', 'how', 'effort']);
const PARTS = { raw: true, labels: true, synthetic: true };

/** YAML in which only `kind` and `paths` are live; every fact is a comment to be uncommented. */
export function templateOf(kind: AssetKind): string {
  const schema = schemaOf(kind);
  const lines = [
    `## ${schema.title}: ${lower(schema.description)}`,
    '## Take the # off what you know and leave the rest; nothing is required. Lines with ## explain.',
    `## muniment record --from this-file.yaml`,
    `kind: ${kind}`,
    kind in identityFields
      ? 'paths: [] # none: this kind is facts'
      : 'paths: [path/to/file-or-folder] # relative to this file',
  ];
  const shown = new Set<string>();
  for (const [name, node] of Object.entries(schema.properties ?? {})) {
    if (COMPUTED.has(name)) continue;
    const described = resolve(node, schema);
    lines.push('', `## ${described.description ?? name}`);
    lines.push(...comment(stringify({ [name]: sample(name, node, schema, shown) }, { lineWidth: 0 }).trimEnd()));
  }
  return lines.join('\n');
}

const comment = (text: string): string[] => text.split('\n').map((line) => `# ${line}`);
const lower = (text = ''): string => text.charAt(0).toLowerCase() + text.slice(1);

function resolve(node: SchemaNode, root: SchemaNode): SchemaNode {
  if (node.$ref === undefined) return node;
  const target = root.$defs?.[node.$ref.slice('#/$defs/'.length)] ?? {};
  return { ...target, ...(node.description === undefined ? {} : { description: node.description }) };
}

/** An example value with every sub-field present; what was shown once is shown short, or left out, after that. */
function sample(name: string, given: SchemaNode, root: SchemaNode, shown: Set<string>): Json {
  const repeated = given.$ref !== undefined && shown.has(given.$ref);
  if (given.$ref !== undefined) shown.add(given.$ref);
  const node = resolve(given, root);
  if (name === 'keep') return 'full';
  if (name === 'links') return [{ relation: relations[0], to: 'a digest, a recorded name or a path' }];
  if (node.examples?.[0] !== undefined) return node.examples[0];
  if (node.enum !== undefined) return node.enum.join(' | ');
  if (node.type === 'object') {
    const fields = Object.entries(node.properties ?? {});
    const needed = fields.filter(([key]) => node.required?.includes(key));
    const kept = repeated
      ? needed.length > 0
        ? needed
        : fields.slice(0, 1)
      : name in PARTS
        ? fields.filter(([key]) => !COMMON.has(key))
        : fields;
    return Object.fromEntries(kept.map(([key, child]) => [key, sample(key, child, root, shown)]));
  }
  if (node.type === 'array')
    return name === 'interval95' ? [0.78, 0.84] : [sample(name, node.items ?? {}, root, shown)];
  if (node.type === 'boolean') return true;
  if (node.type === 'integer' || node.type === 'number') return 1000;
  if (name === 'on' && node.pattern?.includes('{64}')) return 'a digest, a recorded name or a path';
  if (node.pattern?.includes('\\d{4}')) return '2026-03-02';
  return `(${node.description ?? 'text'})`;
}
