import { compareFiles, comparisonText, type Verdict } from '../../detect/index.js';
import type { Call, Command } from '../command.js';
import { modelArgument, textOption } from '../options.js';
import type { Style } from '../style.js';

export const command: Command = {
  name: 'compare',
  summary: 'compare two models: what they share, by what chance, and what was done to the copy',
  usage: 'compare A B [--base C] [--graph FILE.onnx]',
  description: `A is the reference, usually yours; B the suspect. No room is needed, so nothing here is ever exact: every
number is conditional on the two models having been initialised independently of each other. Three answers:
related, no-evidence (the test had power, and says how much), inconclusive (and why).`,
  examples: [
    'muniment compare mine.onnx theirs.onnx',
    'muniment compare mine.safetensors theirs.safetensors --graph mine.onnx',
    'muniment compare mine.safetensors https://hub.example/theirs/model.safetensors',
    'muniment compare mine.onnx theirs.onnx --base public-base.safetensors --json',
  ],
  options: {
    base: {
      type: 'string',
      value: 'FILE',
      help: 'a model that both may have started from; it can explain agreement, never prove independence',
    },
    graph: {
      type: 'string',
      value: 'FILE',
      help: 'an ONNX file whose graph says which units of a model without a graph are exchangeable',
    },
  },
  positionals: { names: ['A', 'B'], min: 2, max: 2 },
  async run(call: Call) {
    const file = (name: string): string => modelArgument(call, name);
    const [a, b] = call.positionals.map(file) as [string, string];
    const base = textOption(call, 'base');
    const graph = textOption(call, 'graph');
    const progress = call.progress('comparing');
    const answer = await compareFiles(a, b, {
      ...(base === undefined ? {} : { base: file(base) }),
      ...(graph === undefined ? {} : { graph: file(graph) }),
      onStep: (done, of, what) => progress.update(done, of, what),
    });
    const { verdict, reason, facts } = comparisonText(answer);
    const width = Math.max(...facts.map(([name]) => name.length));
    const rows = facts.map(([name, value]) => `  ${call.style.dim(name.padEnd(width))}  ${value}`);
    return { json: answer, text: [coloured(call.style, answer.verdict, verdict), reason, '', ...rows].join('\n') };
  },
};

function coloured(style: Style, verdict: Verdict, text: string): string {
  if (verdict === 'related') return style.bold(style.bad(text));
  return style.bold(verdict === 'no-evidence' ? style.good(text) : style.warn(text));
}
