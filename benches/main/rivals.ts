/** Independent models of the same data from other seeds: none may be `related`. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compareFiles } from '../../src/detect/index.js';
import { arrayTrainer, trainOnArrays } from '../../src/train/index.js';
import { netOf, OWNER_SEED, sharedData } from './nets.js';
import { countFigure, type Figures, type Workplace } from './section.js';

export async function falseRelated({ folder, seed, say }: Workplace, models: number): Promise<Figures> {
  const training = { net: netOf(), task: 'classify' as const, epochs: 20 };
  const data = sharedData();
  const trainer = await arrayTrainer(training);
  const own = path.join(folder, 'own.onnx');
  const rival = path.join(folder, 'rival.onnx');
  let related = 0;
  let most = 0;
  const verdicts: Record<string, number> = {};
  try {
    const write = async (file: string, number: number): Promise<void> =>
      writeFile(file, (await trainOnArrays({ ...training, trainer, seed: number }, data)).model);
    await write(own, OWNER_SEED + 10_000 * seed);
    for (let k = 1; k <= models; k++) {
      await write(rival, OWNER_SEED + 10_000 * seed + k);
      const { verdict, reason, lines } = await compareFiles(own, rival);
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      most = Math.max(most, lines[0]?.statistic ?? 0);
      if (verdict !== 'related') continue;
      related++;
      say(`WRONG rival ${k}: ${reason}`);
    }
  } finally {
    await trainer.close();
  }
  say(`rivals: ${JSON.stringify(verdicts)}, at most ${most} of 128 units agree`);
  return { false_related: countFigure(related, models) };
}
