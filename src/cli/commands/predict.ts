import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { predictionsCsv, predictTable, readTable } from '../../train/index.js';
import type { Command } from '../command.js';
import { flagOption, textOption } from '../options.js';

export const command: Command = {
  name: 'predict',
  summary: 'let a trained model answer for a table',
  usage: 'predict MODEL DATA [--out FILE] [--every]',
  description: `MODEL comes from muniment train; DATA (CSV or Parquet) has its input columns, in any order. Prints CSV: one line for each
row, or for a model of sensor windows one for the last reading of each machine (--every: each reading).`,
  examples: [
    'muniment predict failure.onnx today.csv',
    'muniment predict life.onnx runs.csv --every --out life.csv',
    'muniment predict failure.onnx today.parquet --json',
  ],
  options: {
    out: { type: 'string', value: 'FILE', help: 'write the CSV here instead of to stdout' },
    every: { type: 'boolean', help: 'sensor windows: answer for every reading, not only the last of each machine' },
  },
  positionals: { names: ['MODEL', 'DATA'], min: 2, max: 2 },
  async run(call) {
    const [model, data] = call.positionals.map((one) => path.resolve(call.cwd, one)) as [string, string];
    const { table } = await readTable(data);
    const answers = await predictTable(model, table, { every: flagOption(call, 'every') });
    for (const [column, texts] of Object.entries(answers.unknown)) {
      call.note(`${column}: not in the training data: ${texts.join(', ')}`);
    }
    const csv = predictionsCsv(answers);
    const out = textOption(call, 'out');
    if (out !== undefined) await writeFile(path.resolve(call.cwd, out), csv);
    const { header, rows, unknown } = answers;
    return {
      json: { model, data, target: answers.card.target, header, rows, unknown },
      text: out === undefined ? csv.trimEnd() : `${rows.length} answers in ${out}`,
    };
  },
};
