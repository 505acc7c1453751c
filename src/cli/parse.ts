/** Command lines on `node:util` parseArgs, with refusals that say what was meant. Every refusal here is exit code 2. */
import { parseArgs } from 'node:util';
import { usageError } from '../base/index.js';
import { type Command, commonOptions, type OptionSpec, type OptionValue } from './command.js';

export interface Parsed {
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, OptionValue>>;
}

/**
 * @param args what follows the verb
 * @throws `OPTION_UNKNOWN`, `OPTION_VALUE`, `OPTION_REPEATED`, `ARGUMENT_MISSING`, `ARGUMENT_EXTRA`
 */
export function parseCommandLine(command: Command, args: readonly string[]): Parsed {
  const specs: Readonly<Record<string, OptionSpec>> = { ...commonOptions, ...command.options };
  const todo = `muniment ${command.name} --help shows what it takes`;
  // parseArgs' own strict mode names neither the nearest option nor the command; its tokens carry all that is needed.
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [
        name,
        { type: spec.type, ...(spec.short === undefined ? {} : { short: spec.short }) },
      ]),
    ),
  });

  const positionals: string[] = [];
  const options: Record<string, OptionValue> = {};
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
    if (spec === undefined) {
      const near = nearest(
        token.name,
        Object.keys(specs).filter((name) => name.length > 1),
      );
      throw usageError('OPTION_UNKNOWN', `${command.name} has no option ${token.rawName}`, {
        got: token.rawName,
        todo: near === null ? todo : `did you mean --${near}? ${todo}`,
      });
    }
    if (!spec.multiple && Object.hasOwn(options, token.name)) {
      throw usageError('OPTION_REPEATED', `--${token.name} is given twice`, { expected: 'one value', todo });
    }
    if (spec.type === 'boolean') {
      if (token.value !== undefined) {
        throw usageError('OPTION_VALUE', `--${token.name} takes no value`, { got: token.value, todo });
      }
      options[token.name] = true;
      continue;
    }
    // `--to --json` would swallow the next option; a value that begins with a dash is written --to=-value.
    if (token.value === undefined || (!token.inlineValue && /^-[^\d.]/.test(token.value))) {
      throw usageError('OPTION_VALUE', `--${token.name} needs a value`, {
        expected: `--${token.name} ${spec.value ?? 'VALUE'}`,
        ...(token.value === undefined ? {} : { got: token.value }),
        todo,
      });
    }
    checkChoice(token.name, token.value, spec);
    if (spec.multiple) options[token.name] = [...((options[token.name] as string[] | undefined) ?? []), token.value];
    else options[token.name] = token.value;
  }

  // `--help` answers whatever else is missing.
  if (options.help !== true) checkPositionals(command, positionals, todo);
  return { positionals, options };
}

function checkChoice(name: string, value: string, spec: OptionSpec): void {
  if (spec.choices === undefined || spec.choices.includes(value)) return;
  const near = nearest(value, spec.choices);
  throw usageError('OPTION_VALUE', `--${name} cannot be ${JSON.stringify(value)}`, {
    expected: spec.choices.join(', '),
    got: value,
    ...(near === null ? {} : { todo: `did you mean ${near}?` }),
  });
}

function checkPositionals(command: Command, given: readonly string[], todo: string): void {
  const { names, min, max } = command.positionals;
  if (given.length < min) {
    const missing = names.slice(given.length, min).join(' ');
    throw usageError('ARGUMENT_MISSING', `${command.name} needs ${missing}`, {
      expected: `muniment ${command.usage}`,
      got: given.length === 0 ? 'no argument' : given.join(' '),
      todo,
    });
  }
  if (given.length > max) {
    throw usageError('ARGUMENT_EXTRA', `${command.name} takes at most ${max} argument${max === 1 ? '' : 's'}`, {
      expected: `muniment ${command.usage}`,
      got: given.slice(max).join(' '),
      todo: `quote a path that holds spaces; ${todo}`,
    });
  }
}

/** The candidate within edit distance 2 (or that `word` begins), or null. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let least = 3;
  for (const candidate of candidates) {
    const distance = word.length >= 3 && candidate.startsWith(word) ? 1 : editDistance(word, candidate);
    if (distance < least && distance < Math.max(word.length, 2)) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein distance with adjacent transpositions (restricted Damerau). */
function editDistance(a: string, b: string): number {
  // Names of options are short; a pasted kilobyte must not cost a square.
  if (Math.abs(a.length - b.length) > 2) return 3;
  const rows = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const swap =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : Infinity;
      rows[i]![j] = Math.min(
        rows[i - 1]![j]! + 1,
        rows[i]![j - 1]! + 1,
        rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
        swap,
      );
    }
  }
  return rows[a.length]![b.length]!;
}
