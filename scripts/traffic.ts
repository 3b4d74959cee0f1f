/**
 * Offers packets to a forwarder, millions a second from one core: `node build/scripts/traffic.js --help`. For labs and
 * benches, so there are always two limits, in packets and in seconds.
 */
import { parseArgs } from 'node:util';
import { AnyhopError } from '#anyhop/core/errors.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { formatMac } from '#anyhop/packet/mac.js';
import { requireEthernetLink } from '#anyhop/underlay/link.js';
import { CLIENT_PORTS_MAX, CLIENTS_MAX, FLOWS_MAX } from './native/clients.js';
import {
  Generator,
  type GeneratorLimits,
  type GeneratorPlan,
  TARGETS_MAX,
  type Target,
} from './native/generator.js';
import { devLibrary } from './native/object.js';

const HELP = `usage: node build/scripts/traffic.js --interface NAME --mac MAC --to TARGET... --count N --seconds N [options]

Makes packets in the kernel (a live-frame test run, Linux 5.18) and sends them out of an interface of this network
namespace, as fast as one core can or at a rate. Needs root. On veth the far end needs an XDP program
(anyhop pass --interface NAME): otherwise everything vanishes.

  --interface NAME   where packets leave
  --mac MAC          destination of the frames: the forwarder's address
  --to TARGET        PROTOCOL:ADDRESS:PORT, such as tcp:203.0.113.10:80 or udp:[2001:db8:100::10]:53, or icmp:ADDRESS for echo
                     requests; up to ${TARGETS_MAX}
  --count N          stop after so many packets
  --seconds N        stop after so many seconds (3600 at most)
  --rate N           packets a second; as fast as it goes when not given. Keeps the core busy all the same
  --flows N          a power of two up to ${FLOWS_MAX} (65536): clients 20.N.128.N and 2001:db8:c11e::
  --ports N          of each client, a power of two up to ${CLIENT_PORTS_MAX} (${CLIENT_PORTS_MAX}); up to ${CLIENTS_MAX} clients
  --sizes N,...      bytes on the wire, check sequence included (64); IPv6 84 and more, IPv4 64, or 84 and more
  --syn PERCENT      of TCP packets that open a connection (0), the rest are ACKs; kept to a sixteenth
  --spoofed          every packet from another one of 16.8 million sources (20.0.0.0/8, each /64 of 2001:db8:c100::/40), with random
                     ports and sequence numbers; SYNs have the options of Linux, Windows, macOS or none. --flows and --ports mean
                     nothing then
  --pulses           with a rate: 50 bursts a second and rest between, instead of evenly with a core that never rests
  --cpu N            stay on this CPU
  --json             print one JSON object
  --help

It prints how many packets it handed to the interface, and how many a second. What arrived, the far end knows.

Example: 64k flows at 1 million packets a second for 10 seconds, a quarter of them SYNs
  ip netns exec client node build/scripts/traffic.js --interface eth0 --mac 02:00:00:00:00:01 \\
    --to tcp:203.0.113.10:80 --rate 1e6 --count 1e7 --seconds 10 --syn 25
`;
const SECONDS_MAX = 3600;
const WIRE_MIN = 64;
/** Ethernet, and the frame check sequence. */
const WIRE_OVERHEAD = 18;

class UsageError extends Error {}

try {
  const { values } = parse();
  if (values.help === true) process.stdout.write(HELP);
  else await main(values);
} catch (error) {
  if (error instanceof UsageError)
    process.stderr.write(`traffic: ${error.message}\n(--help tells the options)\n`);
  else if (error instanceof AnyhopError) process.stderr.write(`traffic: ${error.message}\n`);
  else throw error;
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

function parse() {
  try {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean' } as const;
    return parseArgs({
      options: {
        interface: text,
        mac: text,
        to: { ...text, multiple: true },
        count: text,
        seconds: text,
        rate: text,
        flows: text,
        ports: text,
        sizes: text,
        syn: text,
        spoofed: flag,
        pulses: flag,
        cpu: text,
        json: flag,
        help: flag,
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function main(values: ReturnType<typeof parse>['values']): Promise<void> {
  const number = (
    name: 'count' | 'seconds' | 'rate' | 'flows' | 'ports' | 'syn' | 'cpu',
    min: number,
    max: number,
  ) => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max)) {
      throw new UsageError(`--${name} ${text}: a number from ${min} to ${max} is needed`);
    }
    return value;
  };
  const { interface: name, mac, to = [] } = values;
  const packets = number('count', 1, Number.MAX_SAFE_INTEGER);
  const seconds = number('seconds', 0.001, SECONDS_MAX);
  if (
    name === undefined ||
    mac === undefined ||
    to.length === 0 ||
    packets === undefined ||
    seconds === undefined
  ) {
    throw new UsageError('--interface, --mac, --to, --count and --seconds are needed');
  }
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac))
    throw new UsageError(`--mac ${mac}: such as 02:00:00:00:00:01`);
  if (to.length > TARGETS_MAX)
    throw new UsageError(`--to: ${to.length} of them; up to ${TARGETS_MAX} are possible`);
  const flows = number('flows', 1, FLOWS_MAX) ?? 65536;
  if (!Number.isInteger(Math.log2(flows))) throw new UsageError(`--flows ${flows}: a power of two is needed`);
  const ports = number('ports', 1, CLIENT_PORTS_MAX) ?? CLIENT_PORTS_MAX;
  if (!Number.isInteger(Math.log2(ports)) || flows / ports > CLIENTS_MAX) {
    throw new UsageError(`--ports ${ports}: a power of two is needed, and ${CLIENTS_MAX} clients at most`);
  }
  const link = await requireEthernetLink(name);
  const sizes = (values.sizes ?? String(WIRE_MIN)).split(',').map(Number);
  const wireMax = link.mtu + WIRE_OVERHEAD;
  if (!sizes.every((size) => Number.isInteger(size) && size >= WIRE_MIN && size <= wireMax)) {
    throw new UsageError(
      `--sizes ${values.sizes}: whole numbers from ${WIRE_MIN} to ${wireMax} (the MTU is ${link.mtu})`,
    );
  }
  const plan: GeneratorPlan = {
    interfaceIndex: link.index,
    sourceMac: formatMac(link.mac),
    destinationMac: mac,
    targets: to.map(parseTarget),
    flows,
    ports,
    sizes,
    synShare: (number('syn', 0, 100) ?? 0) / 100,
    spoofed: values.spoofed === true,
  };
  if (plan.spoofed && plan.targets.some(({ protocol }) => protocol === 'icmp'))
    throw new UsageError('--spoofed: echo requests have no random numbers; --to tcp: or udp:');
  const limits: GeneratorLimits = { packets: Math.floor(packets), seconds, rate: number('rate', 1, 1e9) };
  if (values.pulses === true && limits.rate === undefined) throw new UsageError('--pulses needs --rate');
  const cpu = number('cpu', 0, 4095);
  if (cpu !== undefined) devLibrary.call('ERR_BPF', 'anyhop_dev_pin', cpu);
  const generator = new Generator(plan);
  const made = values.pulses === true ? await generator.pulse(limits) : await generator.run(limits);
  generator.close();
  process.stdout.write(
    values.json === true
      ? `${JSON.stringify(made)}\n`
      : `${made.packets} packets in ${made.seconds.toFixed(2)} s: ${Math.round(made.rate)} a second\n`,
  );
}

function parseTarget(text: string): Target {
  const [, protocol, six, four, portText] =
    /^(tcp|udp|icmp):(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? '');
  const port = Number(portText ?? 0);
  const isPortRight = protocol === 'icmp' ? portText === undefined : port >= 1 && port <= 65535;
  if (address === undefined || !isPortRight) {
    throw new UsageError(
      `--to ${text}: such as tcp:203.0.113.10:80, udp:[2001:db8:100::10]:53 or icmp:203.0.113.10`,
    );
  }
  return { protocol: protocol as Target['protocol'], address, port };
}
