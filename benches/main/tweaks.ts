/** `compare` of a net with its quantised, pruned and fine-tuned copies. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compareFiles } from '../../src/detect/index.js';
import { netOf, OWNER_SEED, prune, quantise, sharedData, train, trainFrom, writeQuantised, writeWith } from './nets.js';
import { type Figures, type Workplace, worst } from './section.js';

/** Each key is the worst log10 p over the nets, and over both ways to store integers; 0 where the verdict is not `related`. */
export async function compareTweaks({ folder, seed, say }: Workplace, nets: number): Promise<Figures> {
  const net = netOf();
  const found: Record<string, number[]> = {};
  for (let index = 0; index < nets; index++) {
    const own = path.join(folder, `own-${index}.onnx`);
    const { model, card, parameters } = await train(net, OWNER_SEED + 1_000 * seed + index);
    await writeFile(own, model);
    const at = (name: string): string => path.join(folder, `${name}-${index}.onnx`);
    const tuned = await trainFrom(parameters, card, {
      data: sharedData(8, `thief ${index}`, 500),
      epochs: 30,
      rate: 1e-3,
      seed: index,
    });
    const copies: readonly (readonly [key: string, file: string])[] = [
      ['compare_int8_log10p', await writeWith(own, net, quantise(net, parameters, 8), at('int8'))],
      ['compare_int8_log10p', await writeQuantised(net, parameters, 8, at('stored-int8'))],
      ['compare_int4_log10p', await writeWith(own, net, quantise(net, parameters, 4), at('int4'))],
      ['compare_int4_log10p', await writeQuantised(net, parameters, 4, at('stored-int4'))],
      ['compare_prune50_log10p', await writeWith(own, net, prune(net, parameters, 0.5), at('prune50'))],
      ['compare_ft30_log10p', await writeWith(own, net, tuned, at('ft30'))],
    ];
    for (const [key, file] of copies) {
      const { verdict, kind, log10p, tweaks, reason } = await compareFiles(own, file);
      const told = verdict === 'related' && kind === 'conditional' && log10p !== null;
      if (!told) say(`WRONG ${path.basename(file)}: ${verdict}, ${kind}: ${reason}`);
      found[key] ??= [];
      found[key].push(told ? log10p : 0);
      if (index === 0) {
        say(`${path.basename(file)}: log10 p ${log10p?.toFixed(1)}, ${tweaks.map((one) => one.kind).join(', ')}`);
      }
    }
  }
  return Object.fromEntries(Object.entries(found).map(([key, values]) => [key, worst(values)]));
}
