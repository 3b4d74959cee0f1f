/** `anyhop which`: shows where a packet or a request goes, and why. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { AnyhopError } from '../core/errors.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../packet/compose.js';
import { deciderOptions, describeState } from './decider.js';
import { labelled } from './format.js';
import { configOption, isNamed, nodeOptions } from './options.js';
import { writeResult } from './output.js';
import { type Decision, type Flow, type FlowOptions, flowDecider, flowRows } from './which-flow.js';

interface WhichOptions extends FlowOptions {
  readonly proto: 'tcp' | 'udp';
  readonly src?: Endpoint;
  readonly dst?: Endpoint;
  readonly url?: string;
  readonly header?: readonly string[];
  readonly json?: boolean;
}

export function whichCommand(): Command {
  const command = new Command('which')
    .summary('show where a packet or a request goes, and why')
    .description(
      'Runs one packet of the flow through the forwarding pipeline, in memory, and prints the result. If a node runs with the ' +
        'config file, its state in force decides: health marks, drains, weights. Otherwise the file decides, with every backend ' +
        'up. The first line of the answer says which. With --url, it says instead which proxy host, frontend, route and upstream of ' +
        'the layer-7 tier a request takes; these are of the config file.',
    )
    .addOption(configOption())
    .addOption(new Option('--proto <protocol>', 'transport protocol').choices(['tcp', 'udp']).default('tcp'))
    .addOption(
      new Option('--src <ip:port>', 'the client; with --url, needed for slot and proxy host').argParser(
        endpoint,
      ),
    )
    .addOption(
      new Option('--dst <ip:port>', 'the VIP and port; with --url, default: all VIPs for its port').argParser(
        endpoint,
      ),
    )
    .addOption(new Option('--url <url>', 'a request, instead of a packet: its URL as clients send it'))
    .addOption(
      new Option(
        '--header <line>',
        'a header of the request, "name: value", host too; may be repeated',
      ).argParser((line: string, before: readonly string[] = []) => [...before, line]),
    )
    .addOption(new Option('--json', 'print one JSON object'))
    .addHelpText(
      'after',
      `
The host of the URL is compared with routes; it is not resolved to an address. Nothing in the path is decoded or resolved, and what
HAProxy answers 400 to is refused. If "anyhop l7 run" runs here with the same file, it says which servers are up.
Exit codes: 0 shown, wherever it goes, 1 the named node does not answer, 2 wrong usage or config.

Examples:
  anyhop which --src 198.51.100.7:40000 --dst 203.0.113.10:80
  anyhop which -c new.yaml --no-socket --proto tcp --src 198.51.100.7:40000 --dst 203.0.113.10:80
  anyhop which --socket /run/anyhop/edge-1.sock --src '[2001:db8::7]:40000' --dst '[2001:db8:100::10]:80' --json
  anyhop which --url https://shop.example.com/v1/x
  anyhop which --url https://shop.example.com/v1/x --header 'x-beta: 1' --header 'cookie: group=b' --src 198.51.100.7:40000`,
    )
    .action(async (options: WhichOptions) => {
      refuseFamilies(options);
      if (options.url === undefined) return whichFlow(options, isNamed(command));
      if (options.proto !== 'tcp') throw usage('found --proto udp with --url; expected tcp');
      const { whichUrl } = await import('./which-url.js'); // a packet needs none of it
      return whichUrl({ ...options, url: options.url }, isNamed(command));
    });
  for (const option of [...deciderOptions(), ...nodeOptions()]) command.addOption(option);
  return command;
}

async function whichFlow(options: WhichOptions, isConfigNamed: boolean): Promise<void> {
  const { proto, src, dst, header, json } = options;
  if (src === undefined || dst === undefined)
    throw usage(`${src === undefined ? '--src' : '--dst'} is missing; expected --src and --dst, or --url`);
  if (header !== undefined) throw usage('found --header without --url');
  const flow = { proto, src, dst };
  const { state, answer } = await flowDecider(options, isConfigNamed)(flow);
  writeResult(json, { state, ...answer }, () => describe(flow, { state, answer }));
}

function describe({ proto, src, dst }: Flow, { state, answer }: Decision): string {
  const rows: [string, string][] = [
    ['state', describeState(state)],
    ['packet', `${proto} ${formatEndpoint(src)} -> ${formatEndpoint(dst)}`],
    ['verdict', `${answer.verdict}: ${answer.meaning}`],
  ];
  return labelled([...rows, ...flowRows(answer)], '');
}

function refuseFamilies({ src, dst }: WhichOptions): void {
  if (src === undefined || dst === undefined || src.address.family === dst.address.family) return;
  throw new AnyhopError('ERR_USAGE', `--src is IPv${src.address.family}, --dst is IPv${dst.address.family}`, {
    hint: 'Use two addresses of the same family.',
  });
}

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text);
  if (parsed === undefined)
    throw new InvalidArgumentError('Expected ADDRESS:PORT, or [ADDRESS]:PORT for IPv6.');
  return parsed;
}

function usage(message: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', message);
}
