/** `anyhop completion`: a shell's completion script, generated from the commands, so that it is never out of date. */
import { Argument, Command } from 'commander';
import { writeOut } from './output.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

interface Words {
  readonly command: string;
  readonly summary: string;
  /** Allowed values of the first argument, if it has a fixed set. */
  readonly choices: readonly string[];
  readonly options: readonly { flag: string; description: string; choices: readonly string[] }[];
}

export function completionCommand(): Command {
  return new Command('completion')
    .summary('print a completion script for a shell')
    .description('Prints a script that completes commands, options and their values.')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  anyhop completion bash > /etc/bash_completion.d/anyhop
  anyhop completion zsh > "\${fpath[1]}/_anyhop"
  anyhop completion fish > ~/.config/fish/completions/anyhop.fish`,
    )
    .action((shell: Shell, _options, command: Command) => {
      const words = (command.parent?.commands ?? []).map(wordsOf);
      writeOut({ bash, zsh, fish }[shell](words));
    });
}

function wordsOf(command: Command): Words {
  const options = command.options
    .filter(({ long, hidden }) => long && !hidden)
    .map(({ long, description, argChoices }) => ({ flag: long!, description, choices: argChoices ?? [] }));
  const choices = command.registeredArguments[0]?.argChoices ?? [];
  return { command: command.name(), summary: command.summary() || command.description(), choices, options };
}

function bash(commands: readonly Words[]): string {
  return `# bash completion for anyhop
_anyhop() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ command }) => command).join(' ')} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]} $previous" in
${commands
  .flatMap(({ command, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(
        ({ flag, choices }) =>
          `    "${command} ${flag}") COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$word")); return ;;`,
      ),
  )
  .join('\n')}
  esac
  case "\${COMP_WORDS[1]}:$word" in
${commands
  .map(
    ({ command, options }) =>
      `    ${command}:-*) COMPREPLY=($(compgen -W "${['--help', ...options.map(({ flag }) => flag)].join(' ')}" -- "$word")) ;;`,
  )
  .join('\n')}
${commands
  .filter(({ choices }) => choices.length > 0)
  .map(
    ({ command, choices }) =>
      `    ${command}:*) COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$word")) ;;`,
  )
  .join('\n')}
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _anyhop anyhop
`;
}

function zsh(commands: readonly Words[]): string {
  const quote = (text: string): string => text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, '\\$&');
  return `#compdef anyhop
# zsh completion for anyhop
if (( CURRENT == 2 )); then
  local -a commands=(
${commands.map(({ command, summary }) => `    '${command}:${quote(summary)}'`).join('\n')}
  )
  _describe command commands
  return
fi
case $words[2] in
${commands
  .map(({ command, choices: words, options }) => {
    const specs = options.map(({ flag, description, choices }) => {
      const values = choices.length > 0 ? `:value:(${choices.join(' ')})` : '';
      return `    '${flag}[${quote(description)}]${values}'`;
    });
    const rest = words.length > 0 ? `    '2:word:(${words.join(' ')})'` : "    '*:file:_files'";
    return `  ${command}) _arguments \\\n${[...specs, rest].join(' \\\n')} ;;`;
  })
  .join('\n')}
esac
`;
}

function fish(commands: readonly Words[]): string {
  const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ command, summary, choices: words, options }) => [
    `complete -c anyhop -n __fish_use_subcommand -a ${command} -d ${quote(summary)}`,
    ...(words.length > 0
      ? [`complete -c anyhop -n '__fish_seen_subcommand_from ${command}' -xa ${quote(words.join(' '))}`]
      : []),
    ...options.map(({ flag, description, choices }) => {
      const values = choices.length > 0 ? ` -xa ${quote(choices.join(' '))}` : '';
      return `complete -c anyhop -n '__fish_seen_subcommand_from ${command}' -l ${flag.slice(2)} -d ${quote(description)}${values}`;
    }),
  ]);
  return `# fish completion for anyhop\n${lines.join('\n')}\n`;
}
