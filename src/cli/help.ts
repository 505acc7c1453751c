/** Help texts, made from the registry and the commands themselves. */
import { type Command, commonOptions, type OptionSpec } from './command.js';
import type { Registered } from './registry.js';
import type { Style } from './style.js';

export function overview(registry: readonly Registered[], style: Style): string {
  const width = Math.max(...registry.map((entry) => entry.name.length));
  return [
    `${style.bold('muniment')}: title deeds for machine-learning models`,
    '',
    style.bold('Usage'),
    '  muniment COMMAND [ARGUMENTS] [OPTIONS]',
    '',
    style.bold('Commands'),
    ...registry.map((entry) => `  ${entry.name.padEnd(width)}  ${entry.summary}`),
    '',
    'muniment help COMMAND, or muniment COMMAND --help, shows options and examples; muniment --version the version.',
  ].join('\n');
}

export function commandHelp(command: Command, style: Style): string {
  const rows = [...Object.entries(command.options), ...Object.entries(commonOptions)].map(
    ([name, spec]) => [flag(name, spec), explain(spec)] as const,
  );
  const width = Math.min(30, Math.max(...rows.map(([left]) => left.length)));
  return [
    `${style.bold(`muniment ${command.name}`)}: ${command.summary}`,
    '',
    style.bold('Usage'),
    `  muniment ${command.usage}`,
    ...(command.description === undefined ? [] : ['', command.description]),
    '',
    style.bold('Options'),
    ...rows.flatMap(([left, right]) =>
      left.length > width ? [`  ${left}`, `  ${' '.repeat(width)}  ${right}`] : [`  ${left.padEnd(width)}  ${right}`],
    ),
    '',
    style.bold('Examples'),
    ...command.examples.map((example) => `  ${example}`),
    '',
    style.bold('Exit codes'),
    '  0 done (whatever the verdict) · 1 evidence bad · 2 usage · 3 input refused · 4 environment · 70 our own fault',
  ].join('\n');
}

const flag = (name: string, spec: OptionSpec): string => {
  const short = spec.short === undefined ? '' : `-${spec.short}, `;
  return `${short}--${name}${spec.type === 'string' ? ` ${spec.value ?? 'VALUE'}` : ''}`;
};

function explain(spec: OptionSpec): string {
  const choices = spec.choices === undefined ? '' : ` (${spec.choices.join(', ')})`;
  return `${spec.help}${choices}${spec.multiple ? ' (may be repeated)' : ''}`;
}
