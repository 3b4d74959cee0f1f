/** `anyhop defend status`: what each rule does, or in observe mode would do, and what it is up against. */
import { Command } from 'commander';
import type { DefendReport } from '../api/defend.js';
import { ask, findSocket, socketOption } from './control-client.js';
import { type Look, look, lookAndWait } from './defend-look.js';
import { drawDefend } from './defend-status-text.js';
import { follow, type WatchOptions, watchOptions } from './watch.js';

interface StatusOptions extends WatchOptions {
  readonly socket?: string;
}

export function defendStatusCommand(): Command {
  const [json, watch] = watchOptions();
  return new Command('status')
    .summary('show what each rule did, or would have done')
    .description(
      'Shows what a running node does against floods: attacks that last, the rules of each service with what they dropped or would have ' +
        'dropped, lists with their age and problems, what was blocked at runtime, and backends that cannot take SYN cookies.',
    )
    .addOption(socketOption())
    .addOption(json)
    .addOption(watch)
    .addHelpText(
      'after',
      `
A rule in mode observe drops nothing and counts what it would drop; "would have" says so. Counts are of packets since the counters of the
engine began. Rates are of one second, with --watch of the time between two looks.
norm is how many SYNs came a second in the last ten minutes; with auto, cookies are used above four times of that, and 1000 at least.
Exit codes: 0 shown, 1 no node answers.

Examples:
  anyhop defend status
  anyhop defend status --watch 1
  anyhop defend status --json | jq '.services[] | {name, would: .counts.sourceRate.would}'`,
    )
    .action(async (options: StatusOptions) => {
      const socket = options.socket ?? (await findSocket());
      let before: Look<DefendReport> | undefined;
      await follow(options, async () => {
        if (options.json) return `${JSON.stringify(await ask(socket, '/defend'))}\n`;
        before ??= await lookAndWait<DefendReport>(socket, '/defend');
        const now = await look<DefendReport>(socket, '/defend');
        const text = drawDefend(now.report, { report: before.report, agoMs: now.atMs - before.atMs });
        before = now;
        return text;
      });
    });
}
