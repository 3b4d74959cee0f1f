/** `anyhop fleet init` and `forget`: the operator's key and the section for every host; a member that is gone for good. */
import { Command } from 'commander';
import { parseConfig } from '../config/load.js';
import { PUBLIC_KEY_BYTES } from '../config/public-key.js';
import { EXIT } from '../core/errors.js';
import { createKey, readOperatorKey } from '../fleet/keys.js';
import { MEMBERS, NODES } from '../fleet/places.js';
import { refused } from '../fleet/refused.js';
import { readFleetView } from '../fleet/view.js';
import { fleetJsonOption, type KeyOptions, keyOption } from './fleet-options.js';
import { withStore } from './fleet-place.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeOut, writeResult } from './output.js';

/** In the place of one that is not made yet. */
const ANY_KEY = Buffer.alloc(PUBLIC_KEY_BYTES).toString('base64');

interface InitOptions extends KeyOptions {
  readonly name: string;
  readonly endpoint: readonly string[];
  readonly json?: true;
}

export function fleetInitCommand(): Command {
  return new Command('init')
    .summary("make the operator's key, and print the section fleet")
    .description(
      "Makes the operator's key, if its file is not there, and prints the section fleet for the config file of every host. It does not " +
        'touch the store.',
    )
    .requiredOption('--name <name>', 'name of the fleet')
    .requiredOption(
      '--endpoint <url>',
      'an etcd server, https://10.0.0.5:2379; once for each of them',
      (value: string, before: readonly string[] = []) => [...before, value],
    )
    .addOption(keyOption())
    .addOption(fleetJsonOption())
    .addHelpText(
      'after',
      `
The key stays with the operator: whoever has it changes the fleet, and nobody else can, not even by writing to etcd. Keep a copy where
the hosts are not. The hosts get its public half, in fleet.operator_key.
Exit codes: 0 printed, 2 wrong usage, or the file holds no such key.

Example:
  anyhop fleet init --name edge --endpoint https://10.0.0.5:2379 --key operator.key >> anyhop.yaml`,
    )
    .action(({ name, endpoint, key: path, json }: InitOptions) => {
      const section = { name, endpoints: endpoint };
      // Before a key is made: a section that no host would take is of no use.
      parseConfig(drawSection({ ...section, operator_key: ANY_KEY }), 'fleet init', { role: 'fleet' });
      let isNew = false;
      let key: ReturnType<typeof readOperatorKey>;
      try {
        key = createKey(path);
        isNew = true;
      } catch {
        key = readOperatorKey(path);
      }
      const fleet = { ...section, operator_key: key.publicBytes.toString('base64') };
      writeResult(json, { key: path, isNew, fleet }, () => drawSection(fleet));
    });
}

function drawSection({
  name,
  endpoints,
  operator_key: key,
}: {
  name: string;
  endpoints: readonly string[];
  operator_key: string;
}): string {
  const tls = endpoints.every((one) => one.startsWith('https:'))
    ? '  # ca_file: etcd-ca.pem # who signs the certificates of the servers\n  # certificate: host.pem # with its key: this host, as a user of etcd\n'
    : '';
  const list = endpoints.map((one) => JSON.stringify(one)).join(', ');
  return `fleet:\n  name: ${JSON.stringify(name)}\n  endpoints: [${list}]\n${tls}  operator_key: "${key}"\n`;
}

interface ForgetOptions extends ConfigOptions {
  readonly json?: true;
}

export function fleetForgetCommand(): Command {
  return new Command('forget')
    .summary('strike a member off that is gone for good')
    .description(
      'Strikes a member off the list of the fleet, so that no change waits for it. It must not be running.',
    )
    .argument('<member>', 'role and name as `anyhop fleet status` lists them: forwarder/edge-3')
    .addOption(configOption())
    .addOption(fleetJsonOption())
    .addHelpText(
      'after',
      `
A member that starts again lists itself again.
Exit codes: 0 struck off, 1 it runs, is not listed, or the store does not answer, 2 wrong usage.

Example:
  anyhop fleet forget forwarder/edge-3`,
    )
    .action(async (place: string, options: ForgetOptions) => {
      await withStore(options, async (store, fleet) => {
        const { members } = await readFleetView(store, fleet);
        const member = members.find((one) => one.place === place);
        if (member === undefined)
          throw refused(
            `no member of the fleet is called ${place}`,
            '`anyhop fleet status` lists the members.',
          );
        if (member.said !== undefined)
          throw refused(`${place} runs`, 'Stop it first: it would list itself again.');
        await store.write(
          [],
          [
            { place: MEMBERS + place, value: undefined },
            { place: NODES + place, value: undefined },
          ],
        );
      });
      if (options.json) writeOut(`${JSON.stringify({ forgot: place })}\n`);
      else writeOut(`${place} is struck off\n`);
      process.exitCode = EXIT.ok;
    });
}
