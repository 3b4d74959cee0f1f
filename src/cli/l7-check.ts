/** `anyhop l7 check`: a config judged by its rules, by this host and by HAProxy, before it is put in force. */
import { Command } from 'commander';
import { ConfigError, formatProblem } from '../config/error.js';
import { type L7Summary, summarizeL7 } from '../config/summary.js';
import { EXIT } from '../core/errors.js';
import { checkTier, type Verdict } from '../l7/check.js';
import { type L7PlaceOptions, loadL7, runDirOption } from './l7-place.js';
import { drawL7Summary } from './l7-summary-text.js';
import { configOption } from './options.js';
import { writeOut } from './output.js';

interface CheckOptions extends L7PlaceOptions {
  readonly json?: true;
}

export function l7CheckCommand(): Command {
  return new Command('check')
    .summary('check a config for a proxy host, with its files, this host and HAProxy')
    .description(
      'Checks a config for "anyhop l7 run": its rules, the certificates and keys that it names, the addresses, ports and limits of this host, and ' +
        'what HAProxy says about it (haproxy -c, in a temporary directory). It changes nothing.',
    )
    .addOption(configOption())
    .addOption(runDirOption())
    .option('--json', 'print JSON: {ok, warnings, unseen, summary}, or {ok, problems}')
    .addHelpText(
      'after',
      `
Every problem is listed as file:line:column with its field, also one that HAProxy finds. Run it as root on a proxy host: another user cannot read
private keys, and another host does not have the addresses. What was not looked at is listed. "anyhop check" is enough where the file is written.
Exit codes: 0 good (it may have warnings), 2 it is not, 3 nothing wrong was found, and something was not looked at.

Example:
  anyhop l7 check -c new.yaml && mv new.yaml /etc/anyhop/anyhop.yaml && anyhop l7 reload`,
    )
    .action(check);
}

async function check(options: CheckOptions): Promise<void> {
  try {
    const config = loadL7(options, { mayLeaveUnread: true });
    const verdict = await checkTier(config);
    if (verdict.problems.length > 0) throw new ConfigError(verdict.problems);
    const { warnings, unseen } = verdict;
    const summary = summarizeL7(config.l7);
    if (options.json) printJson({ ok: true, warnings, unseen, summary });
    else writeOut(draw(config.file, verdict, summary));
    if (unseen.length > 0) process.exitCode = EXIT.environment;
  } catch (error) {
    if (!(error instanceof ConfigError) || !options.json) throw error;
    printJson({ ok: false, problems: error.problems });
    process.exitCode = EXIT.usage;
  }
}

function printJson(value: unknown): void {
  writeOut(`${JSON.stringify(value, null, 2)}\n`);
}

function draw(file: string, { warnings, unseen }: Verdict, summary: L7Summary): string {
  const lines = [
    unseen.length === 0 ? `${file}: good, and HAProxy accepts it` : `${file}: nothing wrong found`,
  ];
  lines.push('', ...drawL7Summary(summary));
  if (unseen.length > 0) lines.push('', 'not looked at', ...unseen.map((one) => `  ${one}`));
  if (warnings.length > 0) lines.push('', 'warnings', ...warnings.map((one) => `  ${formatProblem(one)}`));
  return `${lines.join('\n')}\n`;
}
