/**
 * Notices any attempt to run, reach or open something while a mutant is looked at.
 *
 * What it shows: every function of Node's own modules that starts a process or a thread, compiles code, opens a
 * connection, a port or a file is replaced, for importers by name too, and so is `eval`; the process is besides started
 * with V8's `--disallow-code-generation-from-strings`. A call is noted even where the caller swallows the error. What it
 * does not show: native code of an add-on could go past it (no reader loads one), and names that were bound before this
 * module was loaded from CommonJS.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';

const require = createRequire(import.meta.url);

const GUARDED: Readonly<Record<string, RegExp>> = {
  child_process: /^(exec|execFile|fork|spawn)/,
  worker_threads: /^Worker$/,
  cluster: /^fork$/,
  vm: /^(Script|SourceTextModule|SyntheticModule|compileFunction|createContext|runIn\w+)$/,
  module: /^(register|createRequire|runMain)$/,
  net: /^(connect|createConnection|createServer|Socket|Server)$/,
  tls: /^(connect|createServer)$/,
  dgram: /^createSocket$/,
  http: /^(request|get|createServer)$/,
  https: /^(request|get|createServer)$/,
  http2: /^(connect|createServer|createSecureServer)$/,
  dns: /^(lookup|resolve|reverse)/,
  'dns/promises': /^(lookup|resolve|reverse)/,
  fs: /^(open|read|write|append|create|copy|cp|link|symlink|mkdir|mkdtemp|rename|rm|unlink|opendir|stat|lstat|realpath|access|exists|truncate|chmod)/,
  'fs/promises':
    /^(open|read|write|append|copy|cp|link|symlink|mkdir|mkdtemp|rename|rm|unlink|opendir|stat|lstat|realpath|access|truncate|chmod)/,
};
const OF_PROCESS = ['dlopen', 'binding', '_linkedBinding', 'kill', 'exit', 'abort', 'chdir', 'setuid'] as const;
const OF_GLOBAL = ['eval', 'fetch', 'WebSocket'] as const;

type Call = (...args: unknown[]) => unknown;
let caught: string[] | null = null;
let set = false;

function guard(holder: Record<string, unknown>, key: string, what: string): void {
  const original = holder[key];
  if (typeof original !== 'function') return;
  const replaced = new Proxy(original as Call, {
    apply: (target, self, args) => {
      note(what, args);
      return Reflect.apply(target, self, args);
    },
    construct: (target, args, made) => {
      note(what, args);
      return Reflect.construct(target, args, made) as object;
    },
  });
  Object.defineProperty(holder, key, { value: replaced, configurable: true, writable: true });
}

function note(what: string, args: readonly unknown[]): void {
  if (caught === null) return;
  const shown = typeof args[0] === 'string' ? ` ${args[0].slice(0, 100)}` : '';
  caught.push(`${what}${shown}`);
  throw new Error(`a mutant must not lead to ${what}${shown}`);
}

function setTraps(): void {
  for (const [name, keys] of Object.entries(GUARDED)) {
    const held = require(`node:${name}`) as Record<string, unknown>;
    for (const key of Object.keys(held)) if (keys.test(key)) guard(held, key, `${name}.${key}`);
  }
  const { prototype } = require('node:net').Socket as { prototype: Record<string, unknown> };
  guard(prototype, 'connect', 'net.Socket.connect');
  for (const key of OF_PROCESS) guard(process as unknown as Record<string, unknown>, key, `process.${key}`);
  for (const key of OF_GLOBAL) guard(globalThis as unknown as Record<string, unknown>, key, key);
  syncBuiltinESMExports();
}

/** @returns what was attempted while `work` ran, in the order of the attempts; each was stopped by an error */
export async function trapped(work: () => Promise<void>): Promise<readonly string[]> {
  if (!set) setTraps();
  set = true;
  const found: string[] = [];
  caught = found;
  try {
    await work();
  } finally {
    caught = null;
  }
  return found;
}
