/**
 * A process that appends one statement after another and says so, until it is killed: `writer.ts ROOM KEYS NAME`.
 * KEYS is a JSON file with two private keys in PEM. Each acknowledged statement is one line on stdout: index and SHA-256.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { openLedger } from '../ledger.js';
import { withdrawal } from './keys.js';

const [dir = '', keyFile = '', name = ''] = process.argv.slice(2);
const pem = JSON.parse(readFileSync(keyFile, 'utf8')) as { statements: string; log: string; origin: string };
const privateKey = createPrivateKey(pem.statements);
const ledger = openLedger(dir, {
  keys: {
    statements: { privateKey, publicKey: createPublicKey(privateKey) },
    log: { name: pem.origin, privateKey: createPrivateKey(pem.log) },
  },
});
for (let i = 0; ; i++) {
  const count = 1 + (i % 3);
  const receipts = await ledger.append(Array.from({ length: count }, (_, j) => withdrawal(`${name} ${i} ${j}`)));
  writeSync(1, receipts.map(({ index, sha256 }) => `${index} ${sha256}\n`).join(''));
}
