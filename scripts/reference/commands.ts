/** `docs/reference/commands.md`: each command's own `--help`, as a user sees it. */
import { execFileSync } from 'node:child_process';
import { page } from './markdown.js';

export function commandPage(): string {
  const all = help();
  return page(
    'Commands',
    "each command's `--help`",
    'Commands whose output a program may read have `--json`. The command line overrides the environment, which overrides the file. ' +
      '`anyhop completion bash|zsh|fish` prints a completion script.',
    fence(all),
    ...names(all).flatMap((name) => sections([name], 2)),
  );
}

/** A command, and below it those of a group. */
function sections(command: readonly string[], level: number): string[] {
  const text = help(...command);
  return [
    `${'#'.repeat(level)} ${command.join(' ')}\n\n${fence(text)}`,
    ...names(text).flatMap((name) => sections([...command, name], level + 1)),
  ];
}

function fence(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\``;
}

/** Its width and colours do not depend on the terminal that the page is made on. */
function help(...command: string[]): string {
  const env = { PATH: process.env['PATH'], NO_COLOR: '1', COLUMNS: '100' };
  return execFileSync(process.execPath, ['dist/main.js', ...command, '--help'], { encoding: 'utf8', env });
}

/** Of the commands that a help text lists. */
function names(text: string): string[] {
  const [, list = ''] = text.split('\nCommands:\n');
  return [...list.matchAll(/^ {2}([a-z0-9]+(?:-[a-z0-9]+)*) /gm)]
    .map(([, name]) => name)
    .filter((name) => name !== 'help');
}
