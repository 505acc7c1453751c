import { usageError } from '../../base/index.js';
import type { Command } from '../command.js';
import { answer, askQuestions } from '../rights/ask.js';
import { showIndependence, stateSearch } from '../rights/independence.js';
import { inquiryOptions } from '../rights/inquiry.js';
import { showMeasures, stateMeasure } from '../rights/measures.js';
import { showMatrix, showWhy } from '../rights/show.js';

const words = ['why', 'ask', 'answer', 'measures', 'measure', 'independence', 'search'] as const;

export const command: Command = {
  name: 'rights',
  summary: 'which law protects which part of the model, where, and what is missing',
  usage: 'rights [why | ask | answer FACT VALUE | measures | measure ID | independence MODEL | search]',
  description: `Without a word: every recorded asset against copyright, patent, database right and trade secret in eleven
jurisdictions, and what would raise most. why walks the reasons down to the statute. ask puts only the questions whose
answer can change something; answer records one. measures judges the protection of each secret by itself; measure
records that one is in force. independence assembles the creation log for the day you are the one accused; search
records a search for earlier publications. Information, not legal advice.`,
  examples: [
    'muniment rights',
    'muniment rights --in EU,US --out rights.html',
    'muniment rights why --asset fleet.csv --right database-right --in EU',
    'muniment rights ask',
    'muniment rights answer connected-product yes --asset fleet.csv',
    'muniment rights --what-if connected-product=no --asset fleet.csv',
    'muniment rights measure M11 --text "encrypted disks, keys in a hardware module"',
    'muniment rights independence failure.onnx',
  ],
  options: {
    ...inquiryOptions,
    all: { type: 'boolean', help: 'also the kinds of asset of which none is recorded' },
    out: { type: 'string', value: 'FILE', help: 'write the whole matrix as one self-contained HTML page' },
    reason: { type: 'string', value: 'TEXT', help: 'with answer: what it rests on' },
    by: { type: 'string', value: 'NAME', help: 'who answers, vouches or searched' },
    on: { type: 'string', value: 'DATE', help: 'with measure and search: the day (default: today)' },
    until: { type: 'string', value: 'DATE', help: 'with measure: the day by which it is looked at again' },
    text: { type: 'string', value: 'TEXT', help: 'with measure: what is done, and how it can be seen' },
    ended: { type: 'boolean', help: 'with measure: it is in force no longer' },
    evidence: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'with measure: a file that shows it; its SHA-256 is recorded',
    },
    person: { type: 'string', multiple: true, value: 'NAME', help: 'with measure: who has access, was trained, left' },
    where: { type: 'string', multiple: true, value: 'DATABASE', help: 'with search: where it looked' },
    term: { type: 'string', multiple: true, value: 'QUERY', help: 'with search: what for' },
    found: { type: 'string', multiple: true, value: 'TITLE', help: 'with search: what came near' },
  },
  positionals: { names: ['why|ask|answer|measures|…', 'ARGUMENT'], min: 0, max: 3, choices: words },
  async run(call) {
    const [word, ...rest] = call.positionals;
    if (word === 'answer') return answer(call, rest);
    if (word === 'measure') return stateMeasure(call, rest);
    if (word === 'independence') return showIndependence(call, rest);
    if (rest.length === 0) {
      if (word === undefined) return showMatrix(call);
      if (word === 'why') return showWhy(call);
      if (word === 'ask') return askQuestions(call);
      if (word === 'measures') return showMeasures(call);
      if (word === 'search') return stateSearch(call);
    }
    throw usageError('ARGUMENT_EXTRA', `muniment rights knows no ${call.positionals.join(' ')}`, {
      expected: words.join(', '),
      got: call.positionals.join(' '),
    });
  },
};
