import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MunimentError } from '../base/index.js';
import type { Command } from './command.js';
import { numberOption } from './options.js';
import { nearest, parseCommandLine } from './parse.js';

const command: Command = {
  name: 'release',
  summary: 's',
  usage: 'release MODEL --to RECIPIENT',
  examples: [],
  options: {
    to: { type: 'string', value: 'RECIPIENT', help: 'h' },
    note: { type: 'string', multiple: true, short: 'n', help: 'h' },
    keep: { type: 'string', choices: ['full', 'none'], help: 'h' },
    resume: { type: 'boolean', help: 'h' },
  },
  positionals: { names: ['MODEL'], min: 1, max: 1 },
  run: async () => ({ json: null, text: '' }),
};

const refused = (args: readonly string[]): MunimentError => {
  try {
    parseCommandLine(command, args);
  } catch (error) {
    assert.ok(error instanceof MunimentError);
    assert.equal(error.kind, 'usage');
    return error;
  }
  return assert.fail(`not refused: ${args.join(' ')}`);
};

test('reads options, repeats, short forms and positionals in any order', () => {
  assert.deepEqual(parseCommandLine(command, ['--to', 'A', 'm.onnx', '-n', 'x', '--note=y', '--resume']), {
    positionals: ['m.onnx'],
    options: { to: 'A', note: ['x', 'y'], resume: true },
  });
  assert.deepEqual(parseCommandLine(command, ['--', '--to']).positionals, ['--to']);
  assert.equal(parseCommandLine(command, ['m', '--to=--json']).options.to, '--json');
});

test('refuses what it does not know, and says what was meant', () => {
  assert.match(refused(['m', '--resmue']).facts.todo ?? '', /did you mean --resume\?/);
  assert.equal(refused(['m', '--resmue']).code, 'OPTION_UNKNOWN');
  assert.equal(refused(['m', '--constructor']).code, 'OPTION_UNKNOWN');
  assert.equal(refused(['m', '--to', '--resume']).code, 'OPTION_VALUE');
  assert.equal(refused(['m', '--to']).code, 'OPTION_VALUE');
  assert.equal(refused(['m', '--resume=yes']).code, 'OPTION_VALUE');
  assert.match(refused(['m', '--keep', 'ful']).facts.todo ?? '', /did you mean full\?/);
  assert.equal(refused(['m', '--to', 'a', '--to', 'b']).code, 'OPTION_REPEATED');
  assert.equal(refused([]).code, 'ARGUMENT_MISSING');
  assert.equal(refused(['a', 'b']).code, 'ARGUMENT_EXTRA');
});

test('--help answers whatever else is missing', () => {
  assert.equal(parseCommandLine(command, ['--help']).options.help, true);
});

test('whatever the words, the answer is a parse or a usage refusal', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('--to', '--note=', '-n', '--', '-', '--__proto__', '--resume', '-nr'),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (args) => {
      try {
        const { options } = parseCommandLine(command, args);
        for (const name of Object.keys(options))
          assert.ok(name in command.options || ['json', 'help', 'room', 'key-file'].includes(name));
      } catch (error) {
        assert.ok(error instanceof MunimentError && error.kind === 'usage', String(error));
      }
    }),
  );
});

test('nearest finds slips of one or two letters and nothing farther', () => {
  assert.equal(nearest('verfiy', ['verify', 'record']), 'verify');
  assert.equal(nearest('rec', ['verify', 'record']), 'record');
  assert.equal(nearest('log', ['init']), null);
  assert.equal(nearest('x'.repeat(10_000), ['init']), null);
});

test('numbers are decimal, finite and in range', () => {
  const call = (text: string) => ({ options: { n: text } }) as unknown as Parameters<typeof numberOption>[0];
  assert.equal(numberOption(call('1e-3'), 'n', { min: 0 }), 0.001);
  assert.equal(numberOption(call('-2'), 'n', { integer: true }), -2);
  for (const bad of ['', '0x10', 'NaN', 'Infinity', '1,5', '1e999', ' ']) {
    assert.throws(() => numberOption(call(bad), 'n'), { code: 'OPTION_VALUE' }, bad);
  }
  assert.throws(() => numberOption(call('1.5'), 'n', { integer: true }), { code: 'OPTION_VALUE' });
  assert.throws(() => numberOption(call('7'), 'n', { max: 6 }), { code: 'OPTION_VALUE' });
});
