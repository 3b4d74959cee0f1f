/** `anyhop trace`: sends a probe along the way of a flow and says what happens to it, step by step. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import type { TraceReport } from '../api/trace.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { PROBES_AT_ONCE } from '../core/limits.js';
import { clientAddress } from '../health/tunnel.js';
import { parsePrefix } from '../packet/address.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../packet/compose.js';
import { PORT_FIRST, Prober } from '../trace/prober.js';
import type { Trace } from '../trace/step.js';
import { trace } from '../trace/trace.js';
import { localAmong } from '../underlay/local.js';
import { loadRawSockets } from '../underlay/raw-socket.js';
import { ask, findSocket, socketOption } from './control-client.js';
import { between } from './number.js';
import { writeResult } from './output.js';
import { isInThisNetwork } from './same-network.js';
import { drawTraces } from './trace-text.js';

interface TraceOptions {
  readonly proto: 'tcp' | 'udp';
  readonly backend?: string;
  readonly allBackends?: true;
  readonly mtu: boolean;
  readonly hops?: true;
  readonly wait: number;
  readonly socket?: string;
  readonly json?: true;
}

/** What was traced, in the form of `--json`. */
export interface TraceResult {
  readonly node: string;
  readonly at: string;
  readonly generation: number;
  readonly engine: string;
  readonly protocol: 'tcp' | 'udp';
  /** Of the flow that was asked for; null when backends were. */
  readonly client: string | null;
  readonly vip: string;
  /** The inner source of the probes. */
  readonly probedFrom: string;
  readonly ok: boolean;
  readonly traces: readonly Trace[];
}

export function traceCommand(): Command {
  return new Command('trace')
    .summary('send a probe along the way of a flow, and say what happens to it')
    .description(
      'Asks the node that runs here where a flow goes and what its engine sends, then sends probes in the same outer headers and says ' +
        'step by step what becomes of them: slot, owner, encapsulation, the backend, the answer of the VIP and its way back, and how ' +
        'large packets may be.',
    )
    .addArgument(
      new Argument('<endpoints...>', 'CLIENT:PORT VIP:PORT, or VIP:PORT alone').argParser(endpoints),
    )
    .addOption(new Option('--proto <protocol>', 'transport protocol').choices(['tcp', 'udp']).default('tcp'))
    .option('--backend <name>', 'probe this backend, whichever has the slot')
    .addOption(new Option('--all-backends', 'probe every backend of the pool').conflicts('backend'))
    .option('--no-mtu', 'send no large packets')
    .option('--hops', 'name the routers on the way (TCP)')
    .addOption(
      new Option('--wait <ms>', 'how long an answer may take').argParser(between(50, 5_000)).default(1_000),
    )
    .addOption(socketOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
The probes come from an address of this node, so that answers come back here and no client is disturbed: a TCP SYN, whose connection is
reset at once, or an empty UDP datagram. Their outer headers are those of the client's flow, so they take its way through the underlay.
Without a client, the flow is one of this node. Only this node is traced: which of the nodes a router's ECMP picks for a client, only
that router knows.

Needs CAP_NET_RAW, and access to the control socket.
Exit codes: 0 every step is well, 1 one failed or the node does not answer, 2 wrong usage, 3 the machine lacks something.

Examples:
  anyhop trace 198.51.100.7:40000 203.0.113.10:80
  anyhop trace '[2001:db8::7]:40000' '[2001:db8:100::10]:80'
  anyhop trace 203.0.113.10:80 --backend web-2 --hops
  anyhop trace 203.0.113.10:80 --all-backends
  anyhop trace --proto udp 198.51.100.7:40000 203.0.113.10:53
  anyhop trace 203.0.113.10:80 --json | jq '.traces[].steps[] | select(.state == "failed")'`,
    )
    .action(async (given: readonly Endpoint[], options: TraceOptions) => {
      const result = await traceAll(given, options);
      writeResult(options.json, result, drawTraces);
      if (!result.ok) process.exitCode = EXIT.failure;
    });
}

async function traceAll(given: readonly Endpoint[], options: TraceOptions): Promise<TraceResult> {
  const [client, vip] = given.length === 1 ? [undefined, given[0]] : given;
  const { proto: protocol, backend, allBackends, mtu, hops = false, wait: waitMs } = options;
  if (vip === undefined || given.length > 2)
    throw usage(`found ${given.length} endpoints; expected one or two`);
  if (client !== undefined && client.address.family !== vip.address.family)
    throw usage(`the client is IPv${client.address.family}, the VIP is IPv${vip.address.family}`);
  const socket = options.socket ?? (await findSocket());
  const askFor = async (source: Endpoint, wanted?: string): Promise<TraceReport> => {
    const query = new URLSearchParams({
      protocol,
      source: formatEndpoint(source),
      destination: formatEndpoint(vip),
      ...(wanted !== undefined && { backend: wanted }),
    });
    return (await ask(socket, `/trace?${query}`)) as TraceReport;
  };
  // The node's addresses are known once it was asked; any source will do for that.
  const first = await askFor(client ?? { address: vip.address, port: PORT_FIRST });
  if (!isInThisNetwork(first.pid))
    throw new AnyhopError('ERR_USAGE', `${first.node} runs in another network namespace than this command`, {
      hint: `Probes would take other ways. Run it there: nsenter --net --target ${first.pid} anyhop trace ...`,
    });
  const prober = await openProber(first, vip);
  try {
    const isVipLocal = (await localAmong([vip.address])).has(vip.address.text);
    const source = client ?? { address: prober.client, port: PORT_FIRST };
    const names = allBackends ? first.backends.map(({ name }) => name) : [backend];
    const traces = await atOnce(names, async (wanted) =>
      trace(await askFor(source, wanted), prober, {
        protocol,
        vip,
        backend: wanted,
        waitMs,
        mtu,
        hops,
        isVipLocal,
        again: () => askFor(source, wanted),
      }),
    );
    const { node, at, generation, engine } = first;
    return {
      node,
      at,
      generation,
      engine,
      protocol,
      client: client === undefined ? null : formatEndpoint(client),
      vip: formatEndpoint(vip),
      probedFrom: prober.client.text,
      ok: traces.every(({ ok }) => ok),
      traces,
    };
  } finally {
    prober.close();
  }
}

async function openProber(
  { interface: name, source4, source6 }: TraceReport,
  { address }: Endpoint,
): Promise<Prober> {
  const prefix = (text: string | undefined) => (text === undefined ? undefined : parsePrefix(text));
  const from = { interface: name, source4: prefix(source4), source6: prefix(source6) };
  const client = clientAddress(address.family, from, 'a trace needs');
  return new Prober(await loadRawSockets('a trace needs'), client);
}

/** Backends that are probed at once: with many, few probes meet at one agent. */
const AT_ONCE_MAX = 16;
const BACKENDS_EACH = 8;

/** Each of a list, in order; of a short one as many at a time as one agent watches, which may be in the way of all of them. */
async function atOnce<T, R>(list: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(list.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < list.length; i = next++) results[i] = await work(list[i]);
  };
  const length = Math.min(AT_ONCE_MAX, Math.max(PROBES_AT_ONCE, Math.floor(list.length / BACKENDS_EACH)));
  await Promise.all(Array.from({ length }, worker));
  return results;
}

function endpoints(text: string, before: readonly Endpoint[] = []): Endpoint[] {
  const parsed = parseEndpoint(text);
  if (parsed === undefined)
    throw new InvalidArgumentError('Expected ADDRESS:PORT, or [ADDRESS]:PORT for IPv6.');
  return [...before, parsed];
}

function usage(message: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', message, { hint: 'anyhop trace --help has examples.' });
}
