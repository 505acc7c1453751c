/** Writes the marked copies that `generate.py predict` asks the libraries about: `npx tsx vectors/trees/mark_copies.ts FOLDER`. */
import { mkdirSync } from 'node:fs';
import { MARKED, writeCopy } from '../../src/mark/testing/trees.js';

const [, , folder = 'copies'] = process.argv;
mkdirSync(folder, { recursive: true });
for (const name of MARKED) await writeCopy(name, folder);
