/** `anyhop l7 status`: shows what a proxy host serves, where requests go, and how its servers stand. */
import { Command } from 'commander';
import type { L7Status } from '../l7/status.js';
import { askL7, type L7PlaceOptions, l7Socket, runDirOption } from './l7-place.js';
import { drawL7Status } from './l7-status-text.js';
import { configOption, isNamed } from './options.js';
import { follow, type WatchOptions, watchOptions } from './watch.js';

export function l7StatusCommand(): Command {
  const [json, watch] = watchOptions();
  return new Command('status')
    .summary('show frontends, routes, upstreams and servers of this proxy host')
    .description(
      'Shows the state of the tier on this proxy host: HAProxy, frontends with their routes, upstreams, and servers with sessions, ' +
        'rates, responses, retries, and average and maximum times of the last 1024 requests.',
    )
    .addOption(configOption())
    .addOption(runDirOption())
    .addOption(json)
    .addOption(watch)
    .addHelpText(
      'after',
      `
Exit codes: 0 shown, 1 no "anyhop l7 run" answers.

Examples:
  anyhop l7 status
  anyhop l7 status --watch 1
  anyhop l7 status --json | jq '.upstreams[].servers[] | select(.health == "down")'`,
    )
    .action(async (options: L7PlaceOptions & WatchOptions, command: Command) => {
      const socket = l7Socket(options, isNamed(command));
      await follow(options, async () => {
        const status = (await askL7(socket, '/l7/status')) as L7Status;
        return options.json ? `${JSON.stringify(status)}\n` : drawL7Status(status);
      });
    });
}
