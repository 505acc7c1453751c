/** Progress on stderr: a bar on a terminal, plain lines elsewhere, and nothing at all for work under a second. */
import type { Clock, Progress } from '../base/index.js';
import type { TextOut } from './io.js';
import { printable } from './style.js';

/** Work shorter than this is not worth a bar (milliseconds). */
const QUIET = 1000;
/** Ten redraws a second look smooth; more only cost time. */
const REDRAW = 100;
/** Without a terminal each report stays on the page, so few of them. */
const PLAIN_EVERY = 10_000;
const BAR_WIDTH = 24;

export interface ProgressScreen {
  start(label: string): Progress;
  /** Ends the bar being drawn, so that other text starts on a clean line. */
  clear(): void;
}

export function progressScreen(out: TextOut, clock: Clock): ProgressScreen {
  const terminal = out.isTTY === true;
  let drawn = false;
  const clear = (): void => {
    if (drawn) out.write('\r\u001b[K');
    drawn = false;
  };
  return {
    clear,
    start(label) {
      const began = clock.now().getTime();
      let last = began + QUIET - (terminal ? REDRAW : PLAIN_EVERY);
      let shown = false;
      let ended = false;
      return {
        update(done, total, note) {
          const now = clock.now().getTime();
          const end = total > 0 && done >= total;
          if (ended || now - began < QUIET) return;
          if (end ? !shown : now - last < (terminal ? REDRAW : PLAIN_EVERY)) {
            ended ||= end;
            return;
          }
          last = now;
          shown = true;
          const line = describe(label, done, total, (now - began) / 1000, note, terminal);
          if (!terminal) out.write(`${line}\n`);
          else {
            out.write(`\r${line.slice(0, Math.max(20, (out.columns ?? 80) - 1))}\u001b[K`);
            drawn = true;
          }
          if (end) {
            ended = true;
            clear();
          }
        },
      };
    },
  };
}

/** `hashing  [######      ]  42 %  1:05 left  loss 0.231` */
function describe(
  label: string,
  done: number,
  total: number,
  elapsed: number,
  note: string | undefined,
  terminal: boolean,
): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : null;
  const parts = [label];
  if (share !== null) {
    const full = Math.round(share * BAR_WIDTH);
    if (terminal) parts.push(`[${'#'.repeat(full)}${' '.repeat(BAR_WIDTH - full)}]`);
    parts.push(`${String(Math.floor(share * 100)).padStart(3)} %`);
  }
  const left = share !== null && share > 0 && share < 1 ? (elapsed / share) * (1 - share) : null;
  parts.push(left === null ? duration(elapsed) : `${duration(left)} left`);
  if (note !== undefined && note !== '') parts.push(note);
  return printable(parts.join('  ')).replaceAll('\n', ' ');
}

/** 5 → `0:05`, 3725 → `1:02:05`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
