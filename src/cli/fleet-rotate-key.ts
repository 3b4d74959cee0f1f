/** `anyhop fleet rotate-key`: another secret that the flows of a fleet are hashed with, without a broken connection. */
import { setTimeout } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { withKeyId } from '../config/edit/key-id.js';
import { FINGERPRINT_PATTERN } from '../config/key-fingerprint.js';
import { listed } from '../core/listed.js';
import { formatDuration } from '../core/time.js';
import { refused } from '../fleet/refused.js';
import type { FleetView, MemberView } from '../fleet/view.js';
import { keyLosses, keyMoves } from '../pool/key-cost.js';
import { type Candidate, candidateOf, changeFleet, type FleetChangeOptions } from './fleet-change.js';
import { fleetChangeOptions, fleetJsonOption } from './fleet-options.js';
import { ProgressLine } from './progress-line.js';

interface RotateOptions extends FleetChangeOptions {
  readonly wait?: true;
}

const LOOK_MS = 1_000;

export function fleetRotateKeyCommand(): Command {
  const command = new Command('rotate-key')
    .summary('hash the flows of the fleet with another secret; connections stay')
    .description(
      'Hashes the flows of all forwarders with another secret, which stands in the key file of each (node.key_file) beside the one in force. ' +
        'Nearly all flows get another owner; for a settle time the former owner of each is its first alternate, so TCP connections with second ' +
        'chance stay. No other change comes meanwhile.',
    )
    .argument(
      '[fingerprint]',
      'of the secret, as `anyhop fleet status` shows it; default: the one that all forwarders hold beside the one in force',
      parseFingerprint,
    )
    .option('--force', 'do not wait for other changes, and take it also where connections break by it')
    .addOption(new Option('--wait', 'wait until no connection needs the former secret'))
    .addOption(fleetJsonOption());
  for (const option of fleetChangeOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      `
First give every forwarder the new secret, as one more line of its key file:
  openssl rand -hex 32 >> /etc/anyhop/key
(the same line everywhere: make it once, and copy it). A forwarder tells the fleet of it within a second. When the settle time is over, the
former line may go.
Connections of services without second chance, UDP among them, and of backends without an agent break; the command names them, and takes
--force for that.
Exit codes: as of "anyhop fleet apply".

Examples:
  anyhop fleet rotate-key -m 'yearly' --wait
  anyhop fleet rotate-key 3f0c9a7be1d25486 --key operator.key`,
    )
    .action(rotate);
}

async function rotate(asked: string | undefined, options: RotateOptions): Promise<void> {
  let settleMs = 0;
  await changeFleet(options, async (_, before, view) => {
    if (before === undefined)
      throw refused('nothing is in force in the fleet', '`anyhop fleet apply` puts a config in force.');
    const { from, to } = chosenKey(view, options.without ?? [], asked);
    const { config } = before;
    const isSame = from === to;
    const losses = isSame ? [] : keyLosses(config);
    if (losses.length > 0 && options.force !== true)
      throw refused(losses.join('\n'), 'Give them second chance, or take it all the same with --force.', 2);
    settleMs = isSame ? 0 : Math.max(0, ...config.pools.map((pool) => pool.settleMs));
    return {
      candidate: rekeyed(before, to),
      message: options.message ?? `flow hash key ${to}`,
      notes: isSame ? [`flow hash key ${to}, as before`] : [...costOf(config, from, to), ...losses],
    };
  });
  if (options.wait === true && settleMs > 0 && process.exitCode === undefined) await settle(settleMs);
}

function rekeyed({ text, config }: Candidate, id: string): Candidate {
  const after = withKeyId(text, config.file, id);
  return candidateOf(after, `${config.file} with node.key_id`);
}

function costOf(config: Candidate['config'], from: string, to: string): string[] {
  const settle = [...new Set(config.pools.map(({ settleMs }) => settleMs))].sort((a, b) => a - b);
  return [
    `flow hash key ${from} -> ${to}`,
    ...keyMoves(config).map((share) => `another owner for ${share}, the former one is the first alternate`),
    `for ${listed(settle, { text: formatDuration })} no other change comes, and a packet costs two hashes`,
  ];
}

/** @throws AnyhopError ERR_FLEET when there is no such secret, or more than one, or a forwarder lacks it */
function chosenKey(
  { members }: FleetView,
  without: readonly string[],
  asked: string | undefined,
): { readonly from: string; readonly to: string } {
  const those = members.filter(({ role, place }) => role === 'forwarder' && !without.includes(place));
  const silent = those.filter(({ said }) => said?.keys === undefined);
  if (silent.length > 0 || those.length === 0)
    throw refused(
      silent.length === 0
        ? 'the fleet has no forwarder'
        : `${listed(silent, { text: ({ place }) => place })}: does not say which secrets it has`,
      '`anyhop fleet status` shows every member.',
    );
  const inForce = new Set(those.map(({ said }) => said!.keys!.inForce));
  const [from] = inForce;
  if (inForce.size > 1 && asked === undefined)
    throw refused(
      `forwarders hash flows with different secrets: ${[...inForce].join(', ')}`,
      'Name the one that all of them are to hash with: `anyhop fleet status` shows who has which.',
    );
  const holders = holdersOf(those);
  const others = asked === undefined ? [...holders.keys()].filter((id) => id !== from) : [asked];
  const common = others.filter((id) => holders.get(id)?.length === those.length);
  if (common.length === 1) return { from: from!, to: common[0]! };
  if (common.length > 1)
    throw refused(
      `all forwarders hold more than one other secret: ${common.join(', ')}`,
      'Name the one that is to be in force.',
      2,
    );
  if (others.length === 0)
    throw refused(
      `no forwarder holds another secret than ${from}`,
      'Add the new one as a further line to node.key_file of every forwarder.',
    );
  const lacking = others.map((id) => {
    const lack = those.filter((each) => !holders.get(id)?.includes(each));
    return `${listed(lack, { text: ({ place }) => place })}: lacks the secret ${id}`;
  });
  throw refused(lacking.join('\n'), 'Add it as a further line to node.key_file there.');
}

function holdersOf(members: readonly MemberView[]): Map<string, MemberView[]> {
  const holders = new Map<string, MemberView[]>();
  for (const member of members)
    for (const id of member.said?.keys?.held ?? []) holders.set(id, [...(holders.get(id) ?? []), member]);
  return holders;
}

/** Shows how long the former secret is still needed. */
async function settle(settleMs: number): Promise<void> {
  const line = new ProgressLine();
  const end = performance.now() + settleMs;
  for (let left = settleMs; left > 0; left = end - performance.now()) {
    line.show(`connections need the former key for ${formatDuration(Math.ceil(left / 1000) * 1000)} more`);
    await setTimeout(Math.min(left, LOOK_MS));
  }
  line.clear();
}

function parseFingerprint(text: string): string {
  if (FINGERPRINT_PATTERN.test(text)) return text;
  throw new InvalidArgumentError('expected the fingerprint of a secret, 16 hexadecimal digits');
}
