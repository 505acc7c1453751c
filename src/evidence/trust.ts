/** The trust file: what the verifier believes, got another way than with the bundle. YAML or JSON. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { evidenceError, usageError } from '../base/index.js';
import { type BeaconChain, keyIdOf, parseVerifierKey, QUICKNET } from '../ledger/index.js';

export interface Trust {
  readonly owners: readonly { readonly name: string; readonly key: string; readonly keyId: string }[];
  /** Verifier keys of logs. */
  readonly logs: readonly string[];
  /** PEM roots of time-stamp authorities. */
  readonly authorities: readonly string[];
  readonly beacons: readonly BeaconChain[];
}

/** Longer files are no lists of keys. */
const MAX_TRUST_BYTES = 4 * 1024 * 1024;

/** The text itself, once `read` accepted it. */
function checked(text: string, read: (text: string) => unknown): string {
  read(text);
  return text;
}

/** @throws `TRUST_FILE` naming the entry that is wrong */
export async function readTrust(file: string): Promise<Trust> {
  const refuse = (what: string, cause?: unknown): never => {
    throw usageError('TRUST_FILE', `the trust file has ${what}`, {
      expected:
        'owners: [{name, key: PEM}], logs: [name+id+key], authorities: [PEM], beacons: [{name, hash, publicKey, genesis, period}]',
      where: file,
      cause,
    });
  };
  const text = await readFile(file, 'utf8');
  if (text.length > MAX_TRUST_BYTES) return refuse('an impossible length');
  let value: Record<string, unknown>;
  try {
    value = (parse(text, { maxAliasCount: 0 }) ?? {}) as Record<string, unknown>;
  } catch (cause) {
    return refuse('no valid YAML or JSON', cause);
  }
  const unknown = Object.keys(value).find((key) => !['owners', 'logs', 'authorities', 'beacons'].includes(key));
  if (unknown !== undefined) return refuse(`an unknown entry: ${unknown}`);
  const list = (name: string): readonly unknown[] => {
    const entries = value[name] ?? [];
    return Array.isArray(entries) ? entries : refuse(`no list under ${name}`);
  };
  try {
    return {
      owners: list('owners').map((entry) => {
        const { name, key } = entry as { name: unknown; key: unknown };
        return { name: String(name), key: String(key), keyId: keyIdOf(createPublicKey(String(key))) };
      }),
      logs: list('logs').map((entry) => checked(String(entry).trim(), parseVerifierKey)),
      authorities: list('authorities').map((entry) => checked(String(entry), (pem) => new X509Certificate(pem))),
      beacons: value.beacons === undefined ? [QUICKNET] : (list('beacons') as readonly BeaconChain[]),
    };
  } catch (cause) {
    return refuse('a key or certificate that cannot be read', cause);
  }
}

/**
 * The beacon network with this hash: one that the trust file names, or quicknet where there is no trust file.
 * @throws `BEACON_UNTRUSTED`
 */
export function trustedChain(trust: Trust | null, hash: string, where: string): BeaconChain {
  const known = trust?.beacons ?? [QUICKNET];
  const chain = known.find((one) => one.hash === hash);
  if (chain !== undefined) return chain;
  throw evidenceError('BEACON_UNTRUSTED', 'a beacon round is of a network whose key is not trusted here', {
    expected: known.map((one) => `${one.name} ${one.hash}`).join(', ') || 'a network under beacons in the trust file',
    got: hash,
    where,
    todo: 'if you trust that network, name it in the trust file: beacons: [{name, hash, publicKey, genesis, period}]',
  });
}
