/** Taking a statement back: by a further statement, never by deletion. */
import { inputError } from '../base/index.js';
import type { RecordingRoom } from './recording-room.js';
import { collect, type StatementView } from './registry.js';

/**
 * @param target index or SHA-256 of the statement
 * @throws `STATEMENT_UNKNOWN`; `WITHDRAW_TWICE`
 */
export async function withdraw(room: RecordingRoom, target: string, reason: string) {
  const statements: readonly StatementView[] = await collect(room.ledger.statements());
  const withdrawn = findStatement(statements, target);
  const earlier = statements.find((one) => one.kind === 'withdrawal' && one.predicate.withdraws === withdrawn.sha256);
  if (earlier !== undefined) {
    throw inputError('WITHDRAW_TWICE', `statement ${withdrawn.index} is withdrawn already`, {
      where: `statement ${earlier.index}`,
    });
  }
  const [receipt] = await room.ledger.append([
    {
      kind: 'withdrawal',
      subjects: [...withdrawn.subjects],
      predicate: { withdraws: withdrawn.sha256, reason },
    },
  ]);
  return { withdrawn, receipt: receipt! };
}

/** By index, or by the SHA-256 of the envelope or the beginning of it. @throws `STATEMENT_UNKNOWN` */
export function findStatement<T extends StatementView>(statements: readonly T[], term: string): T {
  const found = /^\d{1,15}$/.test(term)
    ? statements.filter((one) => one.index === Number(term))
    : /^[0-9a-f]{8,64}$/i.test(term)
      ? statements.filter((one) => one.sha256.startsWith(term.toLowerCase()))
      : [];
  if (found.length !== 1) {
    throw inputError('STATEMENT_UNKNOWN', `no one statement is meant by ${JSON.stringify(term)}`, {
      expected: `a number from 0 to ${statements.length - 1}, or eight or more digits of its SHA-256`,
      got: term,
      todo: 'muniment log lists the statements',
    });
  }
  return found[0]!;
}
