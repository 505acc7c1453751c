/**
 * A file behind an HTTP server, read by ranges (RFC 9110 §14), so that comparing a model on a hub fetches a few pages
 * of it. What changes while it is read is noticed by its validator and refused.
 */
import { environmentError, inputError } from './errors.js';
import { type ByteSource, checkRange } from './source.js';

/** Small reads of headers and rows come in runs; one request of a page serves many. */
const PAGE = 256 * 1024;
/** Pages kept: 16 MiB. */
const PAGES = 64;
/** One request asks for no more, so that a connection that breaks repeats little. */
const MAX_REQUEST = 32 * 1024 * 1024;
const TIMEOUT_MS = 60_000;
/** Answers that a server gives in passing. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export interface HttpOptions {
  /** Tries after the first, with twice the pause each time. */
  readonly retries?: number;
  /** First pause. */
  readonly pauseMs?: number;
}

export const isUrl = (text: string): boolean => /^https?:\/\//i.test(text);

/**
 * @throws `URL_REFUSED` for anything but https (http on this machine alone), `URL_STATUS`, `URL_NO_RANGES`,
 *   `URL_CHANGED`, `URL_UNREACHABLE`
 */
export async function httpSource(address: string, options: HttpOptions = {}): Promise<ByteSource> {
  const url = checkUrl(address);
  const { byteLength, validator } = await ask(url, options);
  const pages = new Map<number, Promise<Uint8Array>>();
  const fetchRange = (start: number, end: number) => range(url, start, end, byteLength, validator, options);
  const page = (index: number): Promise<Uint8Array> => {
    let found = pages.get(index);
    if (found === undefined) {
      found = fetchRange(index * PAGE, Math.min(byteLength, (index + 1) * PAGE));
      // A failed page is asked for again next time.
      found.catch(() => pages.delete(index));
      if (pages.size >= PAGES) pages.delete(pages.keys().next().value!);
    } else pages.delete(index);
    pages.set(index, found);
    return found;
  };
  const source: ByteSource = {
    byteLength,
    name: nameOf(url),
    async slice(start, end) {
      checkRange(source, start, end);
      if (end - start > 4 * PAGE) return large(start, end, fetchRange);
      const out = new Uint8Array(end - start);
      for (let index = Math.floor(start / PAGE); index * PAGE < end; index++) {
        const bytes = await page(index);
        const from = Math.max(start, index * PAGE);
        out.set(bytes.subarray(from - index * PAGE, Math.min(end, (index + 1) * PAGE) - index * PAGE), from - start);
      }
      return out;
    },
    async close() {
      pages.clear();
    },
  };
  return source;
}

async function large(
  start: number,
  end: number,
  fetchRange: (start: number, end: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const out = new Uint8Array(end - start);
  for (let at = start; at < end; at += MAX_REQUEST) {
    const until = Math.min(end, at + MAX_REQUEST);
    out.set(await fetchRange(at, until), at - start);
  }
  return out;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

function checkUrl(address: string): URL {
  const refuse = (got: string) =>
    inputError('URL_REFUSED', 'a model is read over https, so that nobody on the way can change it', {
      expected: 'https://… (http only on this machine)',
      got,
      todo: 'use the https address, or download the file',
    });
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw refuse(address.slice(0, 200));
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.test(url.hostname)))
    throw refuse(nameOf(url));
  return url;
}

/** Without user name, password, query and fragment: those may hold secrets, and names travel into statements. */
const nameOf = (url: URL): string => `${url.origin}${url.pathname}`;

interface Asked {
  readonly byteLength: number;
  /** A strong entity tag; null where the server gives none. */
  readonly validator: string | null;
}

async function ask(url: URL, options: HttpOptions): Promise<Asked> {
  const answer = await request(url, 'bytes=0-0', null, options);
  await answer.body?.cancel();
  const total = /^bytes 0-0\/(\d{1,15})$/.exec(answer.headers.get('content-range') ?? '')?.[1];
  if (answer.status === 206 && total !== undefined) {
    const tag = answer.headers.get('etag');
    return { byteLength: Number(total), validator: tag?.startsWith('W/') === false ? tag : null };
  }
  if (answer.status === 416) {
    throw inputError('URL_EMPTY', 'the file behind this address is empty', { where: nameOf(url) });
  }
  throw inputError('URL_NO_RANGES', 'the server hands out whole files only, so a model cannot be read in part', {
    expected: '206 Partial Content with the total length',
    got: `${answer.status}${answer.headers.get('content-range') === null ? ' without a range' : ''}`,
    where: nameOf(url),
    todo: 'download the file and name it instead',
  });
}

async function range(
  url: URL,
  start: number,
  end: number,
  byteLength: number,
  validator: string | null,
  options: HttpOptions,
): Promise<Uint8Array> {
  const answer = await request(url, `bytes=${start}-${end - 1}`, validator, options);
  const said = answer.headers.get('content-range');
  const changed = (got: string) =>
    inputError('URL_CHANGED', 'the file behind this address changed while it was read', {
      expected: `bytes ${start}-${end - 1}/${byteLength}`,
      got,
      where: nameOf(url),
      todo: 'read it again from the beginning, or download it',
    });
  if (answer.status !== 206 || said !== `bytes ${start}-${end - 1}/${byteLength}`) {
    await answer.body?.cancel();
    throw changed(said ?? `status ${answer.status}`);
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length !== end - start) throw changed(`${bytes.length} bytes`);
  return bytes;
}

async function request(url: URL, bytes: string, validator: string | null, options: HttpOptions): Promise<Response> {
  const { retries = 4, pauseMs = 250 } = options;
  for (let attempt = 0; ; attempt++) {
    let failure: unknown;
    try {
      const answer = await fetch(url, {
        headers: {
          range: bytes,
          'accept-encoding': 'identity',
          ...(validator === null ? {} : { 'if-range': validator }),
        },
        redirect: 'follow',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      checkUrl(answer.url);
      if (!PASSING.has(answer.status)) {
        if (answer.status < 400 || answer.status === 416) return answer;
        await answer.body?.cancel();
        throw inputError('URL_STATUS', 'the server does not hand out this file', {
          got: `${answer.status} ${answer.statusText}`,
          where: nameOf(url),
          todo:
            answer.status === 401 || answer.status === 403
              ? 'download it with your account, and name the file'
              : 'check the address',
        });
      }
      await answer.body?.cancel();
      failure = new Error(`${answer.status} ${answer.statusText}`);
    } catch (error) {
      if (error instanceof Error && 'code' in error && String(error.code).startsWith('URL_')) throw error;
      failure = error;
    }
    if (attempt >= retries) {
      throw environmentError('URL_UNREACHABLE', 'the server did not answer', {
        got: failure instanceof Error ? reasonOf(failure) : String(failure),
        where: nameOf(url),
        todo: 'check the network and try again; or download the file and name it',
        cause: failure,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs * 2 ** attempt));
  }
}

/** `fetch failed` says nothing; its cause does. */
const reasonOf = (error: Error): string => (error.cause instanceof Error ? error.cause.message : error.message);
