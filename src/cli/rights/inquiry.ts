/** Options that every question about rights shares. */
import { usageError } from '../../base/index.js';
import { collect, type StatementView } from '../../record/index.js';
import {
  checkDay,
  type FactValue,
  type Inquiry,
  type Jurisdiction,
  jurisdictions,
  type Law,
  loadLaw,
  loadMeasures,
  type Matrix,
  matrixOf,
  type Right,
  readValue,
  rights,
  specOf,
  targetOf,
} from '../../rights/index.js';
import type { Call, OptionSpec } from '../command.js';
import { openRoomFor } from '../open-room.js';
import { textOption, textsOption } from '../options.js';

export const inquiryOptions: Readonly<Record<string, OptionSpec>> = {
  asset: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    help: 'only this asset (name or digest; NAME/labels for a part of a data set)',
  },
  right: { type: 'string', multiple: true, choices: rights, value: 'RIGHT', help: 'only this right' },
  in: {
    type: 'string',
    multiple: true,
    value: 'PLACE',
    help: `only this jurisdiction, of ${jurisdictions.join(', ')}`,
  },
  'as-of': { type: 'string', value: 'DATE', help: 'the law of that day (default: today)' },
  'what-if': {
    type: 'string',
    multiple: true,
    value: 'FACT=VALUE',
    help: 'suppose a fact; nothing is recorded',
  },
};

export interface Asked {
  readonly law: Law;
  readonly statements: readonly StatementView[];
  readonly inquiry: Inquiry;
  readonly matrix: Matrix;
}

/** Reads the room without its passphrase. @throws `RIGHTS_PLACE`, `RIGHTS_FACT`, `RIGHTS_VALUE`, `RIGHTS_ASSET`, `RIGHTS_DAY` */
export async function ask(call: Call): Promise<Asked> {
  const room = await openRoomFor(call, { unlock: false });
  const law = loadLaw();
  const statements = await collect(room.ledger.statements());
  const assets = textsOption(call, 'asset').map((term) => targetOf(statements, term).asset);
  const chosen = textsOption(call, 'right') as readonly Right[];
  const places = textsOption(call, 'in').flatMap((text) => text.split(',').map(readPlace));
  const inquiry: Inquiry = {
    asOf: checkDay(textOption(call, 'as-of') ?? call.clock.now().toISOString().slice(0, 10)),
    supposed: new Map(textsOption(call, 'what-if').map((text) => readSupposed(law, text))),
    ...(assets.length === 0 ? {} : { assets }),
    ...(chosen.length === 0 ? {} : { rights: chosen }),
    ...(places.length === 0 ? {} : { jurisdictions: places }),
  };
  return { law, statements, inquiry, matrix: matrixOf(law, loadMeasures(), statements, inquiry) };
}

function readPlace(text: string): Jurisdiction {
  const name = text.trim().toUpperCase();
  const known: Readonly<Record<string, Jurisdiction>> = { GB: 'UK', USA: 'US' };
  const place = jurisdictions.find((one) => one === name) ?? known[name];
  if (place !== undefined) return place;
  throw usageError('RIGHTS_PLACE', `the rules hold no jurisdiction ${JSON.stringify(text)}`, {
    expected: jurisdictions.join(', '),
  });
}

function readSupposed(law: Law, text: string): readonly [string, FactValue] {
  const at = text.indexOf('=');
  if (at < 1) throw usageError('RIGHTS_VALUE', '--what-if takes FACT=VALUE', { got: text });
  const spec = specOf(law, text.slice(0, at));
  return [spec.id, readValue(spec, text.slice(at + 1))];
}
