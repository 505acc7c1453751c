/** One look at what a suspect answers to a set of triggers: recorded and paid for like any other (docs/theory.md §8, §11). */
import path from 'node:path';
import { environmentError, type Json, secretBytes, sha256Hex, toHex, usageError, utf8 } from '../base/index.js';
import {
  commitModel,
  openTriggers,
  type ReleaseRoom,
  triggerChances,
  triggersOf,
  triggerTable,
} from '../mark/index.js';
import { collect, digestPaths, registryOf } from '../record/index.js';
import { lookCost } from '../stats/index.js';
import { predictTable, readTable, type Table, textAt } from '../train/index.js';
import type { Multiplicity } from './exact.js';
import { EXACT_LEVEL } from './order.js';
import { offsetTest, triggerLine, triggerTest } from './trigger-test.js';
import type { Candidate } from './types.js';

export interface TriggerCheckRequest {
  readonly set: string;
  /** A table of the suspect's answers, one row per query in the committed order; or a model that can be asked here. */
  readonly answers?: string;
  readonly model?: string;
  /** For an offset: the unmarked model, or its answers. */
  readonly original?: string;
  readonly custody?: { readonly obtainedOn?: string; readonly obtainedFrom?: string; readonly by?: string };
}

export interface TriggerCheck {
  readonly id: string;
  readonly look: number;
  readonly suspect: { readonly name: string; readonly sha256: string };
  readonly candidates: readonly (Candidate & { readonly trigger: string })[];
  readonly statement: string;
}

/**
 * @throws `MARK_TRIGGER_UNKNOWN`, `CHECK_ANSWERS` where there are neither answers nor a model, or too many rows;
 *   `CHECK_RACED`
 */
export async function checkTriggers(room: ReleaseRoom, request: TriggerCheckRequest): Promise<TriggerCheck> {
  const started = performance.now();
  const { set, keys } = await openTriggers(room, request.set);
  const { plan } = set.commitment;
  const asked = triggersOf(plan, keys);
  const suspect = request.answers ?? request.model;
  if (suspect === undefined) {
    throw usageError('CHECK_ANSWERS', 'there is nothing to check', { expected: '--answers FILE, or --model FILE' });
  }
  const said = await answersIn(request.answers, request.model, triggerTable(plan, keys), plan.target, asked.length);
  const statements = await collect(room.ledger.statements());
  const look = registryOf(statements).checks.length + 1;
  const chances = Math.max(1, triggerChances(statements));
  const multiplicity: Multiplicity = {
    factor: chances * lookCost(look),
    how: `${chances} trigger sets that could have fired × ${look}·${look + 1} for look ${look} of this room`,
  };
  const byIndex = new Map(
    asked.flatMap(({ index }, at) => (said.texts[at] === null ? [] : [[index, said.texts[at]!] as const])),
  );
  const result =
    plan.answers.kind === 'labels'
      ? triggerTest(plan, keys, byIndex)
      : offsetTest(
          plan,
          keys,
          numbersOf(byIndex),
          await originalAnswers(request, asked, triggerTable(plan, keys), plan.target),
        );
  const line = triggerLine(result!, request.set, multiplicity, set.assumption);
  const related = line.log10p <= EXACT_LEVEL;
  const counted =
    'hits' in result!
      ? `${result.hits} of ${result.n} answers are those that the keys drew`
      : `z ${result!.z.toFixed(2)} over ${result!.waves} waves`;
  const candidate: TriggerCheck['candidates'][number] = {
    trigger: request.set,
    model: plan.target,
    release: null,
    recipient: null,
    earliestTimestamp: null,
    verdict: related ? 'related' : 'inconclusive',
    log10p: line.log10p,
    kind: 'exact',
    reason: related
      ? `The suspect's answers depend on the keys of trigger set ${request.set}: ${counted}; if they did not, the chance of this would be at most 10^${line.log10p.toFixed(1)}. That says that it was trained on these triggers, or on answers of a model that was; open remain a licence, good faith and a breach at the owner.`
      : `Nothing ties these answers to trigger set ${request.set} (${counted}). That shows nothing: a copy that was trained on, or extracted with other questions, may have forgotten them.`,
    scope: { comparable: 0, related: 0 },
    correspondence: [],
    shared: [],
    tweaks: [],
    lines: [line],
    leftOut: [],
    bytesRead: 0,
    seconds: (performance.now() - started) / 1000,
  };
  const id = `c-${toHex(secretBytes(8))}`;
  const answer = { id, look, suspect: { name: path.basename(suspect), sha256: said.sha256 }, candidates: [candidate] };
  return { ...answer, statement: await record(room, answer, said.texts, chances, request) };
}

const numbersOf = (texts: ReadonlyMap<number, string>): ReadonlyMap<number, number> =>
  new Map([...texts].map(([index, text]) => [index, Number(text)]));

async function originalAnswers(
  { original }: TriggerCheckRequest,
  asked: readonly { readonly index: number }[],
  queries: Table,
  target: string,
): Promise<ReadonlyMap<number, number>> {
  if (original === undefined) {
    throw usageError('CHECK_ANSWERS', 'an offset is read against the unmarked model', {
      expected: '--original FILE: the unmarked model, or a table of its answers',
    });
  }
  const isTable = /\.(csv|parquet)$/i.test(original);
  const { texts } = await answersIn(
    isTable ? original : undefined,
    isTable ? undefined : original,
    queries,
    target,
    asked.length,
  );
  return new Map(asked.flatMap(({ index }, at) => (texts[at] === null ? [] : [[index, Number(texts[at])] as const])));
}

interface Said {
  /** In the order of the queries; null where there is none. */
  readonly texts: readonly (string | null)[];
  /** Of the file. */
  readonly sha256: string;
}

async function answersIn(
  answers: string | undefined,
  model: string | undefined,
  queries: Table,
  target: string,
  count: number,
): Promise<Said> {
  if (answers === undefined) {
    const { rows, header } = await predictTable(model!, queries);
    const at = header.indexOf(target);
    const texts = rows.map((row) => (row[at] === null || row[at] === undefined ? null : String(row[at])));
    const { sha256 } = await digestPaths([model!]);
    return { texts, sha256 };
  }
  const { table, sha256 } = await readTable(answers);
  const column = table.columns.find(({ name }) => name === target) ?? table.columns.at(-1)!;
  if (table.rows > count) {
    throw usageError('CHECK_ANSWERS', 'there are more answers than queries', {
      expected: `at most ${count}, in the order of the queries`,
      got: String(table.rows),
      where: answers,
      todo: 'give the first answer to each query: which of several counts is fixed beforehand',
    });
  }
  return { texts: Array.from({ length: count }, (_, row) => (row < table.rows ? textAt(column, row) : null)), sha256 };
}

async function record(
  room: ReleaseRoom,
  { id, look, suspect, candidates }: Omit<TriggerCheck, 'statement'>,
  texts: readonly (string | null)[],
  chances: number,
  { custody }: TriggerCheckRequest,
): Promise<string> {
  const salt = secretBytes(32);
  await room.vault!.put(`check/${id}/salt`, salt);
  // The answers' own digest, row by row as a model's: a text becomes 48 bits of its hash.
  const values = Float64Array.from(texts, (text) =>
    text === null ? -1 : Number.parseInt(sha256Hex(utf8(text)).slice(0, 12), 16),
  );
  const rows = async (start: number, end: number): Promise<Float64Array> => values.subarray(start, end);
  const { root, layout } = await commitModel([{ name: 'answers', shape: [values.length], rows }], salt);
  const predicate = {
    check: id,
    look,
    chances,
    suspect: { ...suspect, files: [suspect], root, layout, kept: false },
    candidates,
    ...(custody === undefined || Object.keys(custody).length === 0 ? {} : { custody }),
  };
  return room.ledger.exclusively(async (append) => {
    const looks = registryOf(await collect(room.ledger.statements())).checks.length;
    if (looks + 1 !== look) {
      throw environmentError('CHECK_RACED', 'another check was recorded in this room meanwhile', {
        expected: `look ${look}`,
        got: `look ${looks + 1}`,
        todo: 'run it again, so that the correction counts both looks',
      });
    }
    const [receipt] = await append([
      { kind: 'check', subjects: [suspect], predicate: JSON.parse(JSON.stringify(predicate)) as Record<string, Json> },
    ]);
    return receipt!.sha256;
  });
}
