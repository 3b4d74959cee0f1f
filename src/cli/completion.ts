/** `anyhop completion`: a shell's completion script, generated from the commands, so that it is never out of date. */
import { Argument, Command } from 'commander';
import { writeOut } from './output.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

interface Words {
  /** The words that choose it: `run`, `l7 run`. */
  readonly path: readonly string[];
  readonly summary: string;
  /** Allowed values of the first argument, if it has a fixed set. */
  readonly choices: readonly string[];
  readonly options: readonly { flag: string; description: string; choices: readonly string[] }[];
  /** Of a command that is a group of others. */
  readonly children: readonly Words[];
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
      const words = (command.parent?.commands ?? []).map((one) => wordsOf(one, []));
      writeOut({ bash, zsh, fish }[shell](words));
    });
}

function wordsOf(command: Command, parents: readonly string[]): Words {
  const path = [...parents, command.name()];
  const options = command.options
    .filter(({ long, hidden }) => long && !hidden)
    .map(({ long, description, argChoices, helpGroupHeading = '' }) => ({
      flag: long!,
      description: `${underHeading(helpGroupHeading)}${description}`,
      choices: argChoices ?? [],
    }));
  return {
    path,
    summary: command.summary() || command.description(),
    choices: command.registeredArguments[0]?.argChoices ?? [],
    options,
    children: command.commands.map((one) => wordsOf(one, path)),
  };
}

/** A shell shows no headings: of one such as "With --feed:", each option says itself what it goes with. */
function underHeading(heading: string): string {
  return heading.startsWith('With --') ? `w${heading.slice(1)} ` : '';
}

const nameOf = ({ path }: Words): string => path.at(-1)!;
const namesOf = (commands: readonly Words[]): string => commands.map(nameOf).join(' ');
const isGroup = ({ children }: Words): boolean => children.length > 0;
/** Commands that do something, those in groups too. */
const leaves = (commands: readonly Words[]): readonly Words[] =>
  commands.flatMap((one) => (isGroup(one) ? one.children : [one]));

function bash(commands: readonly Words[]): string {
  const all = leaves(commands);
  return `# bash completion for anyhop
_anyhop() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${namesOf(commands)} --help --version" -- "$word"))
    return
  fi
  case "$command:$COMP_CWORD" in
${commands
  .filter(isGroup)
  .map(
    ({ path: [name], children }) =>
      `    ${name}:2) COMPREPLY=($(compgen -W "${namesOf(children)} --help" -- "$word")); return ;;
    ${name}:*) command="${name} \${COMP_WORDS[2]}" ;;`,
  )
  .join('\n')}
  esac
  case "$command $previous" in
${all
  .flatMap(({ path, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(
        ({ flag, choices }) =>
          `    "${path.join(' ')} ${flag}") COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$word")); return ;;`,
      ),
  )
  .join('\n')}
  esac
  case "$command:$word" in
${all
  .map(
    ({ path, options }) =>
      `    "${path.join(' ')}":-*) COMPREPLY=($(compgen -W "${['--help', ...options.map(({ flag }) => flag)].join(' ')}" -- "$word")) ;;`,
  )
  .join('\n')}
${all
  .filter(({ choices }) => choices.length > 0)
  .map(
    ({ path, choices }) =>
      `    "${path.join(' ')}":*) COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$word")) ;;`,
  )
  .join('\n')}
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _anyhop anyhop
`;
}

function zsh(commands: readonly Words[]): string {
  return `#compdef anyhop
# zsh completion for anyhop
${zshCommands(commands)}`;
}

/** Offers commands as the second word, and what each takes after it. */
function zshCommands(commands: readonly Words[]): string {
  const quote = (text: string): string => text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, '\\$&');
  return `if (( CURRENT == 2 )); then
  local -a commands=(
${commands.map((one) => `    '${nameOf(one)}:${quote(one.summary)}'`).join('\n')}
  )
  _describe command commands
  return
fi
case $words[2] in
${commands
  .map((one) => {
    if (isGroup(one))
      return `  ${nameOf(one)})
shift words; (( CURRENT-- ))
${zshCommands(one.children)}  ;;`;
    const specs = one.options.map(({ flag, description, choices }) => {
      const values = choices.length > 0 ? `:value:(${choices.join(' ')})` : '';
      return `    '${flag}[${quote(description)}]${values}'`;
    });
    const rest = one.choices.length > 0 ? `    '2:word:(${one.choices.join(' ')})'` : "    '*:file:_files'";
    return `  ${nameOf(one)}) _arguments \\\n${[...specs, rest].join(' \\\n')} ;;`;
  })
  .join('\n')}
esac
`;
}

function fish(commands: readonly Words[]): string {
  const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const seen = (words: string): string => `__fish_seen_subcommand_from ${words}`;
  const groups = commands.filter(isGroup);
  const offers = [
    ...commands.map((one) => [one, '__fish_use_subcommand'] as const),
    ...groups.flatMap(({ path: [group], children }) =>
      children.map((one) => [one, `${seen(group!)}; and not ${seen(namesOf(children))}`] as const),
    ),
  ].map(([one, when]) => `complete -c anyhop -n ${quote(when)} -a ${nameOf(one)} -d ${quote(one.summary)}`);
  // A word of a group may be a command by itself too.
  const within = ({ path }: Words): string =>
    path.length > 1
      ? path.map(seen).join('; and ')
      : [seen(path[0]!), ...groups.map(({ path: [group] }) => `not ${seen(group!)}`)].join('; and ');
  const words = leaves(commands).flatMap((one) => [
    ...(one.choices.length > 0
      ? [`complete -c anyhop -n ${quote(within(one))} -xa ${quote(one.choices.join(' '))}`]
      : []),
    ...one.options.map(({ flag, description, choices }) => {
      const values = choices.length > 0 ? ` -xa ${quote(choices.join(' '))}` : '';
      return `complete -c anyhop -n ${quote(within(one))} -l ${flag.slice(2)} -d ${quote(description)}${values}`;
    }),
  ]);
  return `# fish completion for anyhop\n${[...offers, ...words].join('\n')}\n`;
}
