import type { Command } from '../command.js';
import { completionScript, shells } from '../completion.js';

export const command: Command = {
  name: 'completion',
  summary: 'print shell completion for bash, zsh or fish',
  usage: 'completion bash|zsh|fish',
  examples: [
    'muniment completion bash > ~/.local/share/bash-completion/completions/muniment',
    'source <(muniment completion zsh)',
    'muniment completion fish > ~/.config/fish/completions/muniment.fish',
  ],
  options: {},
  positionals: { names: ['SHELL'], min: 1, max: 1, choices: shells },
  async run(call) {
    const shell = call.positionals[0]!;
    const script = await completionScript(shell);
    return { json: { shell, script }, text: script };
  },
};
