/** Shell completion, generated from the commands: what `--help` shows is what Tab offers. */
import { usageError } from '../base/index.js';
import { type Command, commonOptions, type OptionSpec } from './command.js';
import { loadAll } from './registry.js';

export const shells = ['bash', 'zsh', 'fish'] as const;

/** @throws `OPTION_VALUE` for another shell */
export async function completionScript(shell: string): Promise<string> {
  const commands = await loadAll();
  if (shell === 'bash') return bash(commands);
  if (shell === 'zsh') return zsh(commands);
  if (shell === 'fish') return fish(commands);
  throw usageError('OPTION_VALUE', `no completion for ${JSON.stringify(shell)}`, { expected: shells.join(', ') });
}

const optionsOf = (command: Command): [string, OptionSpec][] =>
  Object.entries({ ...command.options, ...commonOptions });
const fixedWords = (command: Command): readonly string[] => command.positionals.choices ?? [];
/** A single-quoted shell word. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function bash(commands: readonly Command[]): string {
  const flags = (command: Command): string =>
    optionsOf(command)
      .map(([name]) => `--${name}`)
      .join(' ');
  const values = commands.flatMap((command) =>
    optionsOf(command)
      .filter(([, spec]) => spec.choices !== undefined)
      .map(([name, spec]) => `    ${command.name}:--${name}) words=${quote(spec.choices!.join(' '))} ;;`),
  );
  const takesValue = [
    ...new Set(
      commands.flatMap((command) =>
        optionsOf(command)
          .filter(([, s]) => s.type === 'string')
          .map(([n]) => `--${n}`),
      ),
    ),
  ];
  return `# bash completion for muniment
_muniment() {
  local cur prev verb words
  cur=\${COMP_WORDS[COMP_CWORD]}
  prev=\${COMP_WORDS[COMP_CWORD-1]}
  verb=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quote(['help', ...commands.map((c) => c.name)].join(' '))} -- "$cur"))
    return
  fi
  words=
  case "$verb:$prev" in
${values.join('\n') || '    :) ;;'}
  esac
  if [ -z "$words" ]; then
    case "$prev" in
      ${takesValue.join('|')}) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    case "$verb" in
      help) words=${quote(commands.map((c) => c.name).join(' '))} ;;
${commands.map((c) => `      ${c.name}) words=${quote([...fixedWords(c), flags(c)].join(' '))} ;;`).join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  case "$cur" in -*) ;; *) COMPREPLY+=($(compgen -f -- "$cur")) ;; esac
}
complete -o filenames -F _muniment muniment`;
}

function zsh(commands: readonly Command[]): string {
  // _arguments gives brackets and colons a meaning of their own.
  const plain = (text: string): string => text.replace(/[[\]:\\]/g, (c) => `\\${c}`);
  const argument = ([name, spec]: [string, OptionSpec]): string => {
    const repeat = spec.multiple ? '*' : '';
    const action = spec.choices === undefined ? '_files' : `(${spec.choices.join(' ')})`;
    return quote(
      `${repeat}--${name}[${plain(spec.help)}]${spec.type === 'string' ? `:${plain(spec.value ?? 'value')}:${action}` : ''}`,
    );
  };
  const branch = (command: Command): string => {
    const first = fixedWords(command).length > 0 ? [quote(`1: :(${fixedWords(command).join(' ')})`)] : [];
    return `    ${command.name}) _arguments ${[...optionsOf(command).map(argument), ...first, quote('*:file:_files')].join(' ')} ;;`;
  };
  return `#compdef muniment
_muniment() {
  local -a verbs
  verbs=(${commands.map((c) => quote(`${c.name}:${plain(c.summary)}`)).join(' ')} 'help:show help')
  if (( CURRENT == 2 )); then
    _describe 'command' verbs
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case "$verb" in
    help) _describe 'command' verbs ;;
${commands.map(branch).join('\n')}
  esac
}
compdef _muniment muniment`;
}

function fish(commands: readonly Command[]): string {
  const lines = [
    '# fish completion for muniment',
    'complete -c muniment -n __fish_use_subcommand -f -a help -d "show help"',
  ];
  for (const command of commands) {
    lines.push(`complete -c muniment -n __fish_use_subcommand -f -a ${command.name} -d ${quote(command.summary)}`);
    const here = `-n '__fish_seen_subcommand_from ${command.name}'`;
    for (const word of fixedWords(command)) lines.push(`complete -c muniment ${here} -a ${word}`);
    for (const [name, spec] of optionsOf(command)) {
      const value = spec.type === 'boolean' ? '' : spec.choices ? ` -x -a ${quote(spec.choices.join(' '))}` : ' -r';
      lines.push(
        `complete -c muniment ${here} -l ${name}${spec.short ? ` -s ${spec.short}` : ''}${value} -d ${quote(spec.help)}`,
      );
    }
  }
  return lines.join('\n');
}
