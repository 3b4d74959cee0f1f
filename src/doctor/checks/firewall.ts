/** Rules of nftables that drop what forwarders and clients send, as far as a ruleset tells. XDP programs come before all of them. */
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';
import { type Dropped, droppedBy, type Packet, type Ruleset } from '../nft.js';
import { sourcesOf } from '../sources.js';
import { plainTunnels } from '../tunnels.js';

const INPUT = ['prerouting', 'input'];
const OUTPUT = ['output', 'postrouting'];
const ICMP = {
  4: { protocol: 'icmp', icmpType: 'destination-unreachable' },
  6: { protocol: 'ipv6-icmp', icmpType: 'packet-too-big' },
} as const;

export const firewall: Check = {
  name: 'firewall',
  where: ['forwarder', 'backend'],
  looks:
    'No rule of nftables drops GRE, packets for a service, or what routers say about packets that are too big.',
  async run(facts) {
    const ruleset = await facts.ruleset();
    return facts.place.where === 'forwarder' ? onForwarder(facts, ruleset) : onBackend(facts, ruleset);
  },
};

async function onForwarder(facts: Facts, ruleset: Ruleset): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { source4, source6 } = sourcesOf(facts);
  const isPortable = (await facts.engine()) === 'portable';
  for (const source of [source4, source6]) {
    const target = facts.place.targets.find(({ address }) => address.family === source?.family);
    if (source === undefined || target === undefined) continue;
    const { family } = source;
    const gre: Packet = {
      hooks: OUTPUT,
      family,
      protocol: 'gre',
      source,
      destination: target.address,
      state: 'new',
    };
    const dropped = isPortable ? droppedBy(ruleset, gre) : undefined;
    if (dropped !== undefined) {
      findings.push({
        level: 'error',
        saw: `${words(dropped)} drops GRE to ${target.address.text} (nft list ruleset)`,
        breaks: 'Nothing that the engine portable sends leaves this host.',
        mend: allow(dropped, family === 4 ? 'ip protocol gre' : 'ip6 nexthdr gre'),
      });
    }
    // Of packets that XDP sent, conntrack knows nothing: what is said about them is invalid to it.
    const state = isPortable ? 'related' : 'invalid';
    const said: Packet = {
      hooks: INPUT,
      family,
      ...ICMP[family],
      destination: source,
      inInterface: facts.place.interface,
      state,
    };
    const deaf = droppedBy(ruleset, said);
    if (deaf !== undefined) {
      findings.push({
        level: 'warning',
        saw: `${words(deaf)} drops ICMP errors to ${source.text} (nft list ruleset)`,
        breaks: 'The node does not learn of a smaller MTU on the way to a backend: uploads stall.',
        mend: allow(deaf, family === 4 ? 'icmp type destination-unreachable' : 'icmpv6 type packet-too-big'),
      });
    }
  }
  return findings;
}

async function onBackend(facts: Facts, ruleset: Ruleset): Promise<Finding[]> {
  const { interface: on, targets } = facts.place;
  const findings: Finding[] = [];
  const tunnels = await plainTunnels(facts);
  for (const { address, agent } of targets) {
    if (agent) continue; // its program unwraps before nftables looks
    const { family } = address;
    const gre: Packet = {
      hooks: INPUT,
      family,
      protocol: 'gre',
      destination: address,
      inInterface: on,
      state: 'new',
    };
    const dropped = droppedBy(ruleset, gre);
    if (dropped === undefined) continue;
    findings.push({
      level: 'error',
      saw: `${words(dropped)} drops GRE to ${address.text} (nft list ruleset)`,
      breaks: 'Nothing that forwarders send gets to the tunnel.',
      mend: allow(dropped, family === 4 ? 'ip protocol gre' : 'ip6 nexthdr gre'),
    });
  }
  const door = targets.some(({ agent }) => agent) ? on : tunnels[0]?.name;
  for (const { name, vip, protocol, portFirst } of facts.services) {
    const asked: Packet = {
      hooks: INPUT,
      family: vip.family,
      protocol,
      destination: vip,
      destinationPort: portFirst,
      inInterface: door,
      state: 'new',
    };
    const dropped = droppedBy(ruleset, asked);
    if (dropped === undefined) continue;
    findings.push({
      level: 'error',
      saw: `${words(dropped)} drops ${protocol} port ${portFirst} of ${vip.text}, of the service ${name} (nft list ruleset)`,
      breaks: 'Clients get no answer; health checks of another kind than tunnel do not see it.',
      mend: allow(
        dropped,
        `${vip.family === 4 ? 'ip' : 'ip6'} daddr ${vip.text} ${protocol} dport ${portFirst}`,
      ),
    });
  }
  return findings;
}

function words({ chain, byPolicy }: Dropped): string {
  return byPolicy ? `the policy of the chain ${chain}` : `a rule of the chain ${chain}`;
}

function allow({ chain }: Dropped, what: string): string {
  return `nft insert rule ${chain} ${what} accept`;
}
