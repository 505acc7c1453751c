import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MunimentError } from '../base/index.js';
import { commandHelp } from './help.js';
import { loadAll, registry } from './registry.js';
import { packageVersion } from './run.js';
import { plainStyle, printable, styleFor } from './style.js';
import { muniment } from './testing/io.js';

test('the list of commands says what each command says of itself, in order and once', async () => {
  const commands = await loadAll();
  assert.deepEqual(
    registry.map(({ name, summary }) => ({ name, summary })),
    commands.map(({ name, summary }) => ({ name, summary })),
  );
  assert.equal(new Set(registry.map((entry) => entry.name)).size, registry.length);
});

test('every command: help with two or more examples of its own, and options a person can read', async () => {
  for (const command of await loadAll()) {
    const help = commandHelp(command, plainStyle);
    assert.ok(command.examples.length >= 2, `${command.name} has examples`);
    for (const example of command.examples) assert.match(example, /muniment /, `${command.name}: ${example}`);
    assert.ok(command.usage.startsWith(command.name), `${command.name}: usage begins with the verb`);
    assert.ok(!command.summary.endsWith('.'), `${command.name}: no full stop`);
    for (const [name, option] of Object.entries(command.options)) {
      assert.match(name, /^[a-z][a-z0-9-]*$/);
      assert.ok(help.includes(`--${name}`) && option.help !== '', `${command.name} --${name}`);
      assert.ok(!['json', 'help', 'room', 'key-file'].includes(name), `${command.name} --${name} is a common option`);
    }
    assert.ok(command.positionals.min <= command.positionals.max);
  }
});

test('every example in a help text parses', async () => {
  const { parseCommandLine } = await import('./parse.js');
  for (const command of await loadAll()) {
    for (const example of command.examples) {
      // Up to a pipe or redirection, quotes as the shell takes them; what follows another command is not ours.
      const words = [...example.split(/ [|>] /)[0]!.matchAll(/'([^']*)'|"([^"]*)"|([^\s'"()<>]+)/g)].map(
        (match) => match[1] ?? match[2] ?? match[3]!,
      );
      const at = words.indexOf('muniment');
      if (at === -1 || words[at + 1] !== command.name) continue;
      try {
        parseCommandLine(command, words.slice(at + 2));
      } catch (error) {
        assert.fail(`${example}: ${error instanceof MunimentError ? error.message : error}`);
      }
    }
  }
});

test('help, version and no command at all', async () => {
  for (const argv of [[], ['help'], ['--help'], ['-h']]) {
    const ran = await muniment(argv);
    assert.equal(ran.code, 0);
    assert.match(ran.stdout, /Commands/);
    assert.equal(ran.stderr, '');
  }
  assert.equal((await muniment(['--version'])).stdout, `muniment ${packageVersion()}\n`);
  assert.deepEqual((await muniment(['version', '--json'])).json(), { version: packageVersion() });
  const [a, b] = [await muniment(['help', 'completion']), await muniment(['completion', '--help'])];
  assert.equal(a.stdout, b.stdout);
});

test('an unknown command or option is exit 2, with the nearest one named', async () => {
  const command = await muniment(['completoin', 'bash']);
  assert.equal(command.code, 2);
  assert.equal(command.stdout, '');
  assert.match(command.stderr, /COMMAND_UNKNOWN[\s\S]*did you mean completion\?/);
  const option = await muniment(['completion', 'bash', '--jsno']);
  assert.equal(option.code, 2);
  assert.match(option.stderr, /OPTION_UNKNOWN[\s\S]*did you mean --json\?/);
});

test('--json: one document on stdout, whatever happens', async () => {
  const good = await muniment(['completion', 'fish', '--json']);
  assert.equal(good.code, 0);
  assert.equal(good.json().shell, 'fish');
  const bad = await muniment(['completion', 'tcsh', '--json']);
  assert.equal(bad.code, 2);
  const { error } = bad.json() as { error: Record<string, string> };
  assert.equal(error.code, 'OPTION_VALUE');
  assert.equal(error.kind, 'usage');
  assert.match(bad.stderr, /OPTION_VALUE/);
  assert.equal(bad.stdout.trimEnd().split('\n').length, 1);
});

test('colour on a terminal only, and never under NO_COLOR', async () => {
  const sequence = '\u001b[';
  assert.ok((await muniment(['help'], { terminal: true })).stdout.includes(sequence));
  assert.ok(!(await muniment(['help'], { terminal: true, env: { NO_COLOR: '1' } })).stdout.includes(sequence));
  assert.ok(!(await muniment(['help'])).stdout.includes(sequence));
  assert.ok(!(await muniment(['help', '--json'], { terminal: true })).stdout.includes(sequence));
  assert.equal(styleFor({ isTTY: true }, { TERM: 'dumb' }), plainStyle);
});

test('names from others cannot drive the terminal', () => {
  assert.equal(printable('a\u001b[2J\u0007\u009b31m\rb\n\tc'), 'a\\x1b[2J\\x07\\x9b31m\\x0db\n\tc');
  const red = styleFor({ isTTY: true }, {}).bad('x');
  assert.equal(printable(red), red);
});

test('completion scripts name every command and option', async () => {
  const commands = await loadAll();
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout } = await muniment(['completion', shell]);
    for (const command of commands) {
      assert.ok(stdout.includes(command.name));
      for (const name of Object.keys(command.options)) {
        assert.ok(
          stdout.includes(shell === 'fish' ? `-l ${name}` : `--${name}`),
          `${shell}: ${command.name} --${name}`,
        );
      }
    }
  }
});
