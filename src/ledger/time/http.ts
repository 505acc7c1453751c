/** HTTP answers of bounded size and time, from servers that nobody vouches for. */

export interface BoundedAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly type: string;
  /** Null where the answer is longer than the limit. */
  readonly bytes: Uint8Array | null;
}

/** Fails only where no whole answer comes in time. @param timeout milliseconds, headers and body together */
export async function fetchBounded(
  url: string,
  limit: number,
  timeout: number,
  request: RequestInit = {},
): Promise<BoundedAnswer> {
  const response = await fetch(url, { ...request, signal: AbortSignal.timeout(timeout) });
  const about = {
    ok: response.ok,
    status: response.status,
    type: response.headers.get('content-type') ?? '',
  };
  const parts: Uint8Array[] = [];
  let total = 0;
  // Leaving the loop cancels the body, so an endless one costs no more than the limit. Lengths that headers declare are
  // not believed.
  for await (const part of response.body ?? []) {
    const bytes = part as Uint8Array;
    total += bytes.length;
    if (total > limit) return { ...about, bytes: null };
    parts.push(bytes);
  }
  return { ...about, bytes: Uint8Array.from(Buffer.concat(parts)) };
}
