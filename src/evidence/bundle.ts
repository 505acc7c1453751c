/** What lies where in a bundle, and the plain data of its JSON files. */
import type { EvidenceLine } from '../detect/index.js';
import type { OpenedModel } from './opened-rows.js';

export const BUNDLE_VERSION = 1;

export const bundlePaths = {
  about: 'bundle.json',
  report: 'report.html',
  recipe: 'README.txt',
  script: 'verify.sh',
  checkpoint: 'log/checkpoint',
  logKey: 'log/log.vkey',
  key: (keyId: string) => `keys/${keyId}.pem`,
  envelope: (sha256: string) => `statements/${sha256}`,
  openings: (sha256: string) => `statements/${sha256}.open.json`,
  proof: (sha256: string) => `proofs/${sha256}.tlog-proof`,
  /** What `openssl dgst -verify` reads: the bytes that were signed, and the signature. */
  signed: (sha256: string) => `openssl/${sha256}.signed`,
  signature: (sha256: string) => `openssl/${sha256}.sig`,
  token: (token: string) => `stamps/${token}.tsr`,
  /** The checkpoint that a token is over, as the bytes that were stamped. */
  stamped: (token: string) => `stamps/${token}.checkpoint`,
  /** Consistency proof from that checkpoint to the bundle's: base64 hashes, one a line. */
  extends: (token: string) => `stamps/${token}.consistency`,
  roots: 'stamps/roots.pem',
  claims: 'recompute/claims.json',
  keys: 'recompute/keys.json',
  original: 'recompute/original.json',
  suspect: 'recompute/suspect.json',
  alignment: 'recompute/alignment.json',
  /** Every seed of the release, where all its batches are opened. */
  release: 'recompute/release.json',
} as const;

export interface BundleAbout {
  readonly version: typeof BUNDLE_VERSION;
  /** `expert` bundles let every number be recomputed; in `public` ones the numbers are claimed. */
  readonly form: 'public' | 'expert';
  /** RFC 3339, by the owner's clock. */
  readonly made: string;
  readonly about: { readonly kind: 'check' | 'model' | 'release'; readonly id: string; readonly name: string };
  /** Digests of the statements that are shown, in log order. */
  readonly statements: readonly string[];
  readonly tokens: readonly string[];
  /** True where every envelope of the log is here, so that releases and looks can be counted. */
  readonly wholeLog: boolean;
  /** Which rendering of `report.html` this is. */
  readonly report: number;
  /** The release that an expert bundle opens a batch of, or all. */
  readonly release: string | null;
  /** True where every batch is opened, so that the release can be recomputed. */
  readonly allBatches: boolean;
}

/** The lines on one batch, as the owner computed them. */
export interface Claims {
  readonly release: string;
  readonly batch: number;
  readonly factor: number;
  readonly how: string;
  readonly lines: readonly EvidenceLine[];
}

export interface OpenedBatch {
  readonly release: string;
  readonly batch: number;
  /** Hex. */
  readonly seed: string;
  readonly beacon: string;
  /** Plan tensor → the suspect's name for it; those that are compared with none are not there. */
  readonly names: Readonly<Record<string, string>>;
}

export interface AlignmentFile {
  readonly steps: readonly {
    readonly pass: number;
    readonly group: string;
    readonly assignment: readonly number[];
    readonly u: readonly number[];
    readonly v: readonly number[];
  }[];
}

export interface Expert {
  readonly claims: Claims;
  readonly keys: OpenedBatch;
  readonly original: OpenedModel;
  readonly suspect: OpenedModel;
  readonly alignment: AlignmentFile;
}

/** Limits on a bundle's JSON files: the largest holds the opened rows. */
export const MAX_JSON_BYTES = 256 * 1024 * 1024;
