/** `anyhop l7 render`: HAProxy's configuration, as `anyhop l7 run` would write it. */
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { formatProblem } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { inputsOf } from '../l7/check.js';
import { writeGeneration } from '../l7/haproxy/generation-files.js';
import { haproxyConfig } from '../l7/inputs.js';
import { located } from '../l7/located.js';
import { CONFIG_FILE, type Rendering } from '../l7/render/rendering.js';
import { type L7PlaceOptions, loadL7, runDirOption } from './l7-place.js';
import { configOption } from './options.js';
import { writeError, writeOut } from './output.js';

interface RenderOptions extends L7PlaceOptions {
  readonly output?: string;
}

/** What HAProxy is said to read: a link to the generation in force. */
const IN_FORCE = 'current';
const PATH = /^(?:\/[A-Za-z0-9._-]+)+$/;
/** Keys of sticky cookies. */
const SECRET = /\b[0-9a-f]{64}\b/g;

export function l7RenderCommand(): Command {
  return new Command('render')
    .summary("print HAProxy's configuration, or write it with all its files")
    .description(
      'Prints haproxy.cfg as "anyhop l7 run" would write it, without secrets, and the names of the other files. With --output, writes all of them, ' +
        'secrets too, into a new directory. Weights and drains that were said at runtime are not in it.',
    )
    .addOption(configOption())
    .addOption(runDirOption())
    .option('--output <directory>', 'a directory to make, of mode 700, for haproxy.cfg and all other files')
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 2 the config is wrong, 3 the directory cannot be written, or is there already.

Examples:
  anyhop l7 render | less
  anyhop l7 render --output /root/l7 && haproxy -c -f /root/l7/haproxy.cfg`,
    )
    .action((options: RenderOptions) =>
      options.output === undefined ? print(options) : write(options, resolve(options.output)),
    );
}

function print(options: RenderOptions): void {
  const config = loadL7(options, { mayLeaveUnread: true });
  const { lines, files } = renderingOf(config, join(config.l7.runDirectory, IN_FORCE));
  const names = [...files.keys()].sort();
  writeOut(lines.map(({ text }) => `${text.replace(SECRET, '[secret]')}\n`).join(''));
  writeOut(`\n# and ${names.length} files beside it:\n${names.map((name) => `#   ${name}\n`).join('')}`);
  for (const one of config.unread) writeError(`not read: ${formatProblem(one)}\n`);
}

async function write(options: RenderOptions, directory: string): Promise<void> {
  if (!PATH.test(directory))
    throw new AnyhopError(
      'ERR_USAGE',
      `found --output ${JSON.stringify(directory)}; expected a path of letters, digits and "._-", which HAProxy's configuration can name`,
    );
  await writeGeneration(directory, renderingOf(loadL7(options), directory), undefined);
  writeOut(`${join(directory, CONFIG_FILE)}\n`);
}

/** @throws ConfigError for routes that multiply too much */
function renderingOf(config: LoadedConfig<'l7'>, directory: string): Rendering {
  try {
    return haproxyConfig(inputsOf(config)).render(directory);
  } catch (error) {
    throw located(config, error);
  }
}
