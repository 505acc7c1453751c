/** Ties the opened rows of a suspect to the file itself: the statement alone says only that the owner found them there. */
import { evidenceError, sha256OfSource } from '../base/index.js';
import { openModel } from '../formats/index.js';
import { committable } from '../mark/index.js';
import { canonicalise } from '../structure/index.js';
import type { CheckFact } from './check-fact.js';
import { type OpenedModel, sameValues } from './opened-rows.js';

/** @throws `SUSPECT_OTHER_FILE`, `SUSPECT_OTHER_ROWS`, and what opening the file throws */
export async function checkSuspectFile(file: string, opened: OpenedModel, check: CheckFact): Promise<void> {
  const model = await openModel(file);
  try {
    const digests = [];
    for (const source of model.sources) digests.push(await sha256OfSource(source));
    const wanted = check.suspect.files.map((one) => one.sha256);
    if (digests.join() !== wanted.join()) {
      throw evidenceError('SUSPECT_OTHER_FILE', 'this is not the file that was examined', {
        expected: wanted.join(', '),
        got: digests.join(', '),
        where: file,
      });
    }
    if (!(await sameValues(opened, await committable(await canonicalise(model))))) {
      throw evidenceError('SUSPECT_OTHER_ROWS', 'the opened rows are not those of the file that was examined', {
        where: file,
      });
    }
  } finally {
    await model.close();
  }
}
