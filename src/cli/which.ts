/** `anyhop which`: where a packet goes, and why. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { assemble, fixedWay } from '../control/assemble.js';
import { type Explanation, explain } from '../control/explain.js';
import { AnyhopError } from '../core/errors.js';
import { parseAddress, parsePrefix } from '../packet/address.js';
import type { Endpoint } from '../packet/compose.js';
import { type ConfigOptions, configOption, loadFor, type NodeOptions, nodeOptions } from './options.js';

interface WhichOptions extends ConfigOptions, NodeOptions {
  readonly proto: 'tcp' | 'udp';
  readonly src: Endpoint;
  readonly dst: Endpoint;
  readonly json?: boolean;
}

/** The MTU is of no matter: the packet that is asked about is as small as can be. */
const MTU = 1500;

export function whichCommand(): Command {
  const command = new Command('which')
    .summary('say where a packet goes, and why')
    .description(
      'Sends one packet of the flow through the pipeline that forwards, in memory, and says what came of it. Health ' +
        'marks are not known here: every backend counts as up.',
    )
    .addOption(configOption())
    .addOption(new Option('--proto <protocol>', 'transport protocol').choices(['tcp', 'udp']).default('tcp'))
    .addOption(new Option('--src <ip:port>', 'the client').argParser(parseEndpoint).makeOptionMandatory())
    .addOption(
      new Option('--dst <ip:port>', 'the VIP and port').argParser(parseEndpoint).makeOptionMandatory(),
    )
    .addOption(new Option('--json', 'print one JSON object'))
    .addHelpText(
      'after',
      `
Examples:
  anyhop which -c anyhop.yaml --proto tcp --src 198.51.100.7:40000 --dst 203.0.113.10:80
  anyhop which -c anyhop.yaml --src '[2001:db8::7]:40000' --dst '[2001:db8:100::10]:80' --json`,
    )
    .action((options: WhichOptions) => {
      const { proto, src, dst } = options;
      if (src.address.family !== dst.address.family) {
        throw new AnyhopError(
          'ERR_USAGE',
          `--src is IPv${src.address.family}, --dst is IPv${dst.address.family}`,
          {
            hint: 'Give two addresses of one family.',
          },
        );
      }
      const config = loadFor('flow', options);
      // Owners do not depend on the outer source, so a file that leaves it to the nodes will do (RFC 5737, RFC 3849).
      const node = {
        ...config.node,
        source4: config.node.source4 ?? parsePrefix('192.0.2.1'),
        source6: config.node.source6 ?? parsePrefix('2001:db8::1'),
      };
      const assembly = assemble(config, node, { generation: 1, way: fixedWay(MTU) });
      const answer = explain(assembly, config.services, proto, src, dst);
      const flow = `${proto} ${formatEndpoint(src)} -> ${formatEndpoint(dst)}`;
      process.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : describe(flow, answer));
    });
  for (const option of nodeOptions()) command.addOption(option);
  return command;
}

function describe(flow: string, answer: Explanation): string {
  const rows: [string, string][] = [
    ['packet', flow],
    ['verdict', `${answer.verdict}: ${answer.meaning}`],
  ];
  if (answer.slot !== undefined) {
    const stack = answer.stack!.map(({ backend, state }) =>
      state === 'active' ? backend : `${backend} (${state})`,
    );
    const inStack = answer.stack!.findIndex(({ backend }) => backend === answer.owner);
    const why =
      answer.owner === null
        ? 'no backend of the pool is eligible'
        : inStack < 0
          ? 'no backend in the stack is eligible; the first one found along the walk is'
          : `the first eligible backend in the slot's stack, in layer ${inStack + 1}`;
    rows.push(
      ['service', `${answer.service}, pool ${answer.pool}`],
      ['hash', `0x${answer.hash!.toString(16).padStart(8, '0')}`],
      ['slot', `${answer.slot} of ${answer.slots}`],
      ['owner', answer.owner === null ? `none: ${why}` : `${answer.owner} (${answer.ownerAddress}): ${why}`],
      [
        'alternate',
        `${answer.alternate ?? 'none'}${answer.key ? `, told to the agent as GRE key ${answer.key}` : ''}`,
      ],
      ['stack', stack.join(', ')],
    );
    if (answer.mode !== 'normal') rows.push(['note', `the pool is resolved in mode "${answer.mode}"`]);
  }
  return `${rows.map(([name, value]) => `${name.padEnd(9)}  ${value}`).join('\n')}\n`;
}

function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = match === null ? undefined : parseAddress(match[1] ?? match[2]);
  const port = Number(match?.[3]);
  if (address === undefined || port > 65535 || (match?.[1] === undefined) !== (address.family === 4)) {
    throw new InvalidArgumentError('It is ADDRESS:PORT, and [ADDRESS]:PORT for IPv6.');
  }
  return { address, port };
}

function formatEndpoint({ address, port }: Endpoint): string {
  return address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}
