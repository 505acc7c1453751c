import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Json, usageError } from '../../base/index.js';
import { type LedgerStatement, type LogReport, openLedger, verifyLog } from '../../ledger/index.js';
import { collect, findStatement, registryOf } from '../../record/index.js';
import { earliestStamp, stampsOf } from '../../room/index.js';
import type { Answer, Call, Command } from '../command.js';
import { roomFolder } from '../open-room.js';
import { flagOption, textOption, textsOption } from '../options.js';
import { table } from '../table.js';

export const command: Command = {
  name: 'log',
  summary: 'list what the room has stated; check the log itself',
  usage: 'log [verify | show N]',
  description: `Without arguments: the statements in force, oldest first, with who made the thing and who vouches for the time.
log show N prints one statement whole. log verify re-derives the tree from the files as they lie on disk, and checks
every hash, signature and schema; it needs no passphrase and trusts nothing that the room says of itself.`,
  examples: [
    'muniment log',
    'muniment log --kind model --json',
    'muniment log show 3',
    'muniment log verify --checkpoint last-year.checkpoint',
  ],
  options: {
    kind: { type: 'string', value: 'KIND', help: 'only statements of this kind' },
    all: { type: 'boolean', help: 'also those that were corrected or withdrawn since' },
    checkpoint: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'with verify: a checkpoint kept from before, which the log must still contain',
    },
  },
  positionals: { names: ['verify|show', 'N'], min: 0, max: 2, choices: ['verify', 'show'] },
  async run(call) {
    const [word, argument] = call.positionals;
    if (word === undefined) return list(call);
    if (word === 'show' && argument !== undefined) return show(call, argument);
    if (word === 'verify' && argument === undefined) return verify(call);
    throw usageError('ARGUMENT_EXTRA', 'log lists, shows one statement, or verifies', {
      expected: 'muniment log, muniment log show N, or muniment log verify',
      got: call.positionals.join(' '),
    });
  },
};

interface Line {
  readonly index: number;
  readonly statement: string;
  readonly time: string;
  readonly kind: string;
  readonly name: string;
  readonly sha256: string | null;
  readonly who: string | null;
  readonly status: 'in force' | 'corrected' | 'withdrawn';
  /** The earliest stamp over it, as the room states it; null where time is self-asserted. `verify` checks the token. */
  readonly stamp: {
    readonly time: string;
    readonly authority: string;
    readonly label: 'qualified' | 'non-qualified';
  } | null;
}

async function list(call: Call): Promise<Answer> {
  const statements = await collect(openLedger(await roomFolder(call)).statements());
  const status = statusOf(statements);
  const stampOf = stampedBy(statements);
  const kind = textOption(call, 'kind');
  const lines = statements
    .map((one) => lineOf(one, status(one), stampOf(one.index)))
    .filter(
      (line) => (kind === undefined || line.kind === kind) && (flagOption(call, 'all') || line.status === 'in force'),
    );
  const hidden = statements.length - lines.length;
  const rows = lines.map((line) => [
    String(line.index),
    line.time.slice(0, 16).replace('T', ' '),
    line.kind,
    line.name,
    line.sha256 === null ? '' : line.sha256.slice(0, 12),
    line.who ?? '',
    line.stamp === null ? 'self-asserted' : `${line.stamp.label} ${line.stamp.time.slice(0, 10)}`,
    line.status === 'in force' ? '' : line.status,
  ]);
  const head = ['#', 'time (UTC)', 'kind', 'name', 'sha256', 'who', 'time vouched for', ''];
  const text = [
    rows.length === 0 ? 'nothing is stated yet' : table([head, ...rows]),
    ...(hidden > 0
      ? [call.style.dim(`${hidden} more: corrected, withdrawn or of another kind (--all shows them)`)]
      : []),
  ].join('\n');
  return { json: { statements: lines }, text };
}

function statusOf(statements: readonly LedgerStatement[]): (one: LedgerStatement) => Line['status'] {
  const { assets, withdrawn } = registryOf(statements);
  const gone = new Set(withdrawn.flatMap((asset) => asset.history.map((one) => one.sha256)));
  const corrected = new Set(
    assets.flatMap((asset) => asset.history.filter((one) => one !== asset.statement).map((one) => one.sha256)),
  );
  return (one) => (gone.has(one.sha256) ? 'withdrawn' : corrected.has(one.sha256) ? 'corrected' : 'in force');
}

function stampedBy(statements: readonly LedgerStatement[]): (index: number) => Line['stamp'] {
  const stamps = stampsOf(statements);
  return (index) => {
    const stamp = earliestStamp(stamps, index);
    if (stamp === null) return null;
    const stated = (stamp as { label?: unknown }).label;
    const label = stated === 'qualified' ? 'qualified' : 'non-qualified';
    return { time: stamp.time, authority: stamp.authority, label };
  };
}

function lineOf(one: LedgerStatement, status: Line['status'], stamp: Line['stamp']): Line {
  const { predicate, subjects } = one;
  const authors = (Array.isArray(predicate.authors) ? predicate.authors : []) as readonly { name?: Json }[];
  const who =
    authors.length > 0
      ? authors.map((author) => String(author.name)).join(', ')
      : typeof predicate.recipient === 'string'
        ? `to ${predicate.recipient}${typeof predicate.release === 'string' ? ` (${predicate.release})` : ''}`
        : typeof predicate.owner === 'string'
          ? predicate.owner
          : null;
  const name = typeof predicate.name === 'string' ? predicate.name : (subjects[0]?.name ?? '');
  return {
    index: one.index,
    statement: one.sha256,
    time: one.time,
    kind: one.kind,
    name,
    sha256: subjects[0]?.sha256 ?? null,
    who,
    status,
    stamp,
  };
}

async function show(call: Call, term: string): Promise<Answer> {
  const statements = await collect(openLedger(await roomFolder(call)).statements());
  const one = findStatement(statements, term);
  const status = statusOf(statements)(one);
  const { index, sha256, kind, subjects, predicate, time } = one;
  const json = { index, statement: sha256, kind, time, status, subjects, predicate };
  const text = [
    `${call.style.bold(`statement ${index}`)}: ${kind}, ${status}`,
    `time (self-asserted): ${time}`,
    `envelope: ${sha256}`,
    ...subjects.map((subject) => `subject: ${subject.name} ${subject.sha256}`),
    ...Object.entries(predicate).map(([name, value]) => `${name}: ${JSON.stringify(value, null, 2)}`),
  ].join('\n');
  return { json, text };
}

async function verify(call: Call): Promise<Answer> {
  const files = textsOption(call, 'checkpoint').map((file) => path.resolve(call.cwd, file));
  const checkpoints = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const report = await verifyLog(await roomFolder(call), { checkpoints });
  return { json: report, text: reportText(report, files.length, call), exitCode: report.ok ? 0 : 1 };
}

function reportText(report: LogReport, older: number, call: Call): string {
  const { good, bad, warn, dim } = call.style;
  const { size, problems, withheld, harmless } = report;
  const fields = withheld.reduce((sum, one) => sum + one.fields, 0);
  return [
    report.ok
      ? `${good('whole')}: ${size} statements, log ${report.origin ?? '(empty)'}`
      : bad(`damaged: ${problems.length} problems`),
    ...problems.map((one) => `  ${one.code} ${one.where}: ${one.message}`),
    `root ${report.root}`,
    'checked: the tree, re-derived from the entries; every tile, byte by byte; the checkpoint and its signature;',
    '  every statement: its hash, its signature, its openings against what was signed, its facts against their schema',
    ...(older > 0 ? [`  ${older} checkpoint${older === 1 ? '' : 's'} from before, against the log as it is now`] : []),
    ...(report.selfAsserted
      ? [warn('the keys came from the room itself: consistent, but who signed is self-asserted')]
      : []),
    ...(fields > 0 ? [`${fields} fields of ${withheld.length} statements are withheld or erased`] : []),
    ...(harmless.length > 0
      ? [
          dim(
            `${harmless.length} files belong to earlier checkpoints, or to an append that was interrupted; they do no harm`,
          ),
        ]
      : []),
  ].join('\n');
}
