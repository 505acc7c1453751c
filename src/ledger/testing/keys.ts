/** Fresh signing keys and small statements for tests. */
import { generateKeyPairSync } from 'node:crypto';
import type { LedgerKeys } from '../ledger.js';
import type { StatementInput } from '../statement.js';

export function testKeys(origin = 'example.com/titles'): LedgerKeys {
  const statements = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const log = generateKeyPairSync('ed25519');
  return { statements, log: { name: origin, privateKey: log.privateKey } };
}

export const withdrawal = (reason: string): StatementInput => ({
  kind: 'withdrawal',
  subjects: [{ name: 'thing', sha256: 'a'.repeat(64) }],
  predicate: { withdraws: 'b'.repeat(64), reason },
});
