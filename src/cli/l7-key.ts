/** `anyhop l7 key`: the subkey of the tier, which proxy hosts get instead of the fleet's secret. */
import { fstatSync } from 'node:fs';
import { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import { deriveL7Key } from '../l7/render/keys.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeError, writeOut } from './output.js';

const STDOUT = 1;
const FOR_OTHERS = 0o077;

export function l7KeyCommand(): Command {
  return new Command('key')
    .summary("print the subkey of the tier, derived from the fleet's secret")
    .description(
      "Prints the subkey of the tier for l7.key_file, derived from the fleet's secret (node.key_file) by HKDF-SHA256. Session tickets and sticky cookies " +
        "follow from it. It tells nothing about the fleet's secret, which proxy hosts need not have.",
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Run it on a host that has the fleet's secret, and put the file on every proxy host, owned by root, with mode 600.
Exit codes: 0 printed, 2 the config is wrong or has no secret.

Example:
  (umask 077; anyhop l7 key -c /etc/anyhop/anyhop.yaml > /etc/anyhop/l7.key)`,
    )
    .action(({ config }: ConfigOptions) => {
      const { node } = loadConfig(config, { role: 'flow' });
      writeOut(`${Buffer.from(deriveL7Key(node.key.reveal())).toString('hex')}\n`);
      const hint = hintFor(STDOUT);
      if (hint !== undefined) writeError(`${hint}\n`);
    });
}

function hintFor(descriptor: number): string | undefined {
  if (process.stdout.isTTY) return 'This is a secret: keep it in a file of mode 600, l7.key_file.';
  const status = fstatSync(descriptor);
  const isOpen = status.isFile() && (status.mode & FOR_OTHERS) !== 0;
  return isOpen ? 'Other users can read the file with this secret: run chmod 600 on it.' : undefined;
}
