/** The asset kinds, one list everywhere: each is a statement kind of its own, `urn:muniment:<kind>:v1`. */

export const assetKinds = [
  'training-set',
  'test-set',
  'architecture',
  'training-parameters',
  'model',
  'code',
  'documentation',
  'creative-work',
  'system',
] as const;

export type AssetKind = (typeof assetKinds)[number];

export const isAssetKind = (text: string): text is AssetKind => (assetKinds as readonly string[]).includes(text);

/**
 * Kinds that are facts rather than files: recorded without a path, their subject is the SHA-256 of the canonical JSON
 * of these fields, so equal facts have equal digests. Such a digest can be guessed by trying facts; whoever discloses
 * the statement discloses that much.
 */
export const identityFields: Readonly<Partial<Record<AssetKind, readonly string[]>>> = {
  'training-parameters': ['parameters'],
  system: ['software', 'hardware', 'purpose'],
};

export const relations = [
  'trained-on',
  'evaluated-on',
  'derived-from',
  'architecture',
  'parameters',
  'made-with',
  'part-of',
  'documents',
] as const;
export type Relation = (typeof relations)[number];

export const effortBuckets = ['obtaining', 'verification', 'presentation', 'creation', 'labelling'] as const;
export type EffortBucket = (typeof effortBuckets)[number];

/** What the vault holds of a model: all of it, whole tensors up to a budget, or nothing. */
export const keeps = ['full', 'sample', 'none'] as const;
export type Keep = (typeof keeps)[number];
