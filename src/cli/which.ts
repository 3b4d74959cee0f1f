/** `anyhop which`: shows where a packet goes, and why. */
import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Explanation, WhichReport } from '../api/api.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { assemble, fixedPath, servedOf } from '../node/assemble.js';
import { explain } from '../node/explain.js';
import { parsePrefix } from '../packet/address.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../packet/compose.js';
import { askDecider, type DeciderOptions, deciderOptions, describeState, type State } from './decider.js';
import { labelled } from './format.js';
import {
  type ConfigOptions,
  configOption,
  isNamed,
  loadFor,
  type NodeOptions,
  nodeOptions,
} from './options.js';
import { writeResult } from './output.js';

interface WhichOptions extends ConfigOptions, NodeOptions, DeciderOptions {
  readonly proto: 'tcp' | 'udp';
  readonly src: Endpoint;
  readonly dst: Endpoint;
  readonly json?: boolean;
}

/** Irrelevant: the packet is as small as possible. */
const MTU = 1500;

export function whichCommand(): Command {
  const command = new Command('which')
    .summary('show where a packet goes, and why')
    .description(
      'Runs one packet of the flow through the forwarding pipeline, in memory, and prints the result. If a node runs with the ' +
        'config file, its state in force decides: health marks, drains, weights. Otherwise the file decides, with every backend ' +
        'up. The first line of the answer says which.',
    )
    .addOption(configOption())
    .addOption(new Option('--proto <protocol>', 'transport protocol').choices(['tcp', 'udp']).default('tcp'))
    .addOption(new Option('--src <ip:port>', 'the client').argParser(endpoint).makeOptionMandatory())
    .addOption(new Option('--dst <ip:port>', 'the VIP and port').argParser(endpoint).makeOptionMandatory())
    .addOption(new Option('--json', 'print one JSON object'))
    .addHelpText(
      'after',
      `
Examples:
  anyhop which --src 198.51.100.7:40000 --dst 203.0.113.10:80
  anyhop which -c new.yaml --no-socket --proto tcp --src 198.51.100.7:40000 --dst 203.0.113.10:80
  anyhop which --socket /run/anyhop/edge-1.sock --src '[2001:db8::7]:40000' --dst '[2001:db8:100::10]:80' --json`,
    )
    .action(async (options: WhichOptions) => {
      const { proto, src, dst } = options;
      if (src.address.family !== dst.address.family) {
        throw new AnyhopError(
          'ERR_USAGE',
          `--src is IPv${src.address.family}, --dst is IPv${dst.address.family}`,
          {
            hint: 'Use two addresses of the same family.',
          },
        );
      }
      const { state, answer } = await decide(options, isNamed(command));
      const flow = `${proto} ${formatEndpoint(src)} -> ${formatEndpoint(dst)}`;
      writeResult(options.json, { state, ...answer }, () => describe(flow, state, answer));
    });
  for (const option of [...deciderOptions(), ...nodeOptions()]) command.addOption(option);
  return command;
}

async function decide(
  options: WhichOptions,
  isNamed: boolean,
): Promise<{ readonly state: State; readonly answer: Explanation }> {
  const { proto, src, dst } = options;
  const query = new URLSearchParams({
    protocol: proto,
    source: formatEndpoint(src),
    destination: formatEndpoint(dst),
  });
  // With a socket, the file is not needed, and only root may be able to read it.
  const config = typeof options.socket === 'string' ? undefined : loadUnlessDefault(options, isNamed);
  const read = (value: unknown): WhichReport => value as WhichReport;
  const told = await askDecider(`/which?${query}`, read, options, config?.node.socket);
  if (told !== undefined) {
    const { answer, ...moment } = told.value;
    return { state: { from: 'node', ...moment }, answer };
  }
  const { node, file } = config!;
  // Owners do not depend on the outer source, so the file may leave it to the nodes (RFC 5737, RFC 3849).
  const source4 = node.source4 ?? parsePrefix('192.0.2.1');
  const source6 = node.source6 ?? parsePrefix('2001:db8::1');
  const assembly = assemble(
    servedOf(config!),
    { ...node, source4, source6 },
    { generation: 1, path: fixedPath(MTU) },
  );
  return { state: { from: 'file', file }, answer: explain(assembly, proto, src, dst) };
}

/** Undefined when the default file is missing: the node that runs here decides. */
function loadUnlessDefault(options: WhichOptions, isNamed: boolean): LoadedConfig<'flow'> | undefined {
  if (!isNamed && options.socket === undefined && !existsSync(options.config)) return undefined;
  return loadFor('flow', options);
}

function describe(flow: string, from: State, answer: Explanation): string {
  const rows: [string, string][] = [
    ['state', describeState(from)],
    ['packet', flow],
    ['verdict', `${answer.verdict}: ${answer.meaning}`],
  ];
  if (answer.slot !== undefined) {
    const stack = answer.stack!.map(({ backend, state, health, unreachable }) => {
      const notes = [
        ...(state === 'active' ? [] : [state]),
        ...(unreachable ? ['unreachable'] : health === 'up' ? [] : [health]),
      ];
      return notes.length === 0 ? backend : `${backend} (${notes.join(', ')})`;
    });
    const inStack = answer.stack!.findIndex(({ backend }) => backend === answer.owner);
    const why =
      answer.owner === null
        ? 'no backend of the pool is eligible'
        : inStack < 0
          ? 'no backend in the stack is eligible; this is the first eligible one along the walk'
          : `the first eligible backend in the slot's stack, in layer ${inStack + 1}`;
    rows.push(
      ['service', `${answer.service}, pool ${answer.pool}`],
      ['hash', `0x${answer.hash!.toString(16).padStart(8, '0')}`],
      ['slot', `${answer.slot} of ${answer.slots}`],
      ['owner', answer.owner === null ? `none: ${why}` : `${answer.owner} (${answer.ownerAddress}): ${why}`],
      [
        'alternates',
        answer.alternates!.map(({ backend, id }) => `${backend} (id ${id})`).join(', ') || 'none',
      ],
      ['key', answer.key ? `${answer.key.word}: ${answer.key.backends.join(', then ')}` : 'none'],
      ['stack', stack.join(', ')],
    );
    if (answer.mode !== 'normal') rows.push(['note', `the pool is resolved in mode "${answer.mode}"`]);
  }
  return labelled(rows, '');
}

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text);
  if (parsed === undefined)
    throw new InvalidArgumentError('Expected ADDRESS:PORT, or [ADDRESS]:PORT for IPv6.');
  return parsed;
}
