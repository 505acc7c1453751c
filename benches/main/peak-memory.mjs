// Loaded before a command: writes the peak of its resident memory in bytes to file descriptor 3 when it ends.
import { readFileSync, writeSync } from 'node:fs';

// The kernel's `ru_maxrss` is inherited from the parent over fork and exec; VmHWM is this program's own.
function peakBytes() {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return 1024 * Number(kilobytes);
  } catch {
    return 1024 * process.resourceUsage().maxRSS;
  }
}

process.on('exit', () => writeSync(3, String(peakBytes())));
