import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration, progressScreen } from './progress.js';

function stage(isTTY: boolean) {
  let now = 0;
  let text = '';
  const clock = { now: () => new Date(now) };
  const screen = progressScreen({ write: (more) => (text += more), isTTY, columns: 80 }, clock);
  return { screen, at: (ms: number) => (now = ms), text: () => text };
}

test('work under a second draws nothing', () => {
  for (const terminal of [true, false]) {
    const { screen, at, text } = stage(terminal);
    const bar = screen.start('hashing');
    for (let ms = 0; ms < 1000; ms += 50) {
      at(ms);
      bar.update(ms, 1000);
    }
    bar.update(1000, 1000);
    screen.clear();
    assert.equal(text(), '');
  }
});

test('on a terminal: one line, redrawn, with percent, time left and note, and cleared at the end', () => {
  const { screen, at, text } = stage(true);
  const bar = screen.start('training');
  at(2000);
  bar.update(25, 100, 'loss 0.231');
  assert.match(text(), /^\rtraining {2}\[#{6} +\] {3}25 % {2}0:06 left {2}loss 0\.231/);
  assert.ok(text().endsWith('\u001b[K'));
  at(8000);
  bar.update(100, 100);
  assert.ok(text().endsWith('\r\u001b[K'));
  assert.ok(!text().includes('\n'));
});

test('without a terminal: plain lines, few of them, and no escape sequence', () => {
  const { screen, at, text } = stage(false);
  const bar = screen.start('training');
  for (let ms = 0; ms <= 60_000; ms += 10) {
    at(ms);
    bar.update(ms, 60_000);
  }
  const lines = text().trimEnd().split('\n');
  assert.ok(lines.length >= 5 && lines.length <= 8, String(lines.length));
  assert.ok(!text().includes('\u001b'));
  assert.match(lines.at(-1)!, /100 %/);
});

test('hostile notes cannot move the cursor, and an unknown total shows time spent', () => {
  const { screen, at, text } = stage(false);
  const bar = screen.start('reading');
  at(1500);
  bar.update(3, 0, 'a\u001b[2Jb\nc');
  assert.equal(text(), 'reading  0:02  a\\x1b[2Jb c\n');
});

test('durations', () => {
  assert.equal(duration(5), '0:05');
  assert.equal(duration(3725), '1:02:05');
});
