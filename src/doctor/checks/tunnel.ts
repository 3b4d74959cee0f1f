/** A backend with `agent: false` unwraps GRE by a tunnel of the kernel, which must be up, for anybody, and without a key. */
import type { Check, Finding } from '../check.js';
import type { Target } from '../facts.js';
import { plainTunnels, type Tunnel } from '../tunnels.js';

export const tunnel: Check = {
  name: 'tunnel',
  where: ['backend'],
  looks:
    'A backend with agent: false has a GRE tunnel of the kernel that is up and takes packets without a key.',
  async run(facts) {
    const plain = facts.place.targets.filter(({ agent }) => !agent);
    const tunnels = await plainTunnels(facts);
    return plain.flatMap((target) => judge(target, tunnels));
  },
};

function judge({ address, name }: Target, tunnels: readonly Tunnel[]): Finding[] {
  const fits = tunnels.filter(
    ({ family, local }) => family === address.family && (local === undefined || local === address.text),
  );
  if (fits.some(isGood)) return [];
  const device = `anyhop${address.family}`;
  const type = address.family === 4 ? 'gre' : 'ip6gre';
  const anybody = address.family === 4 ? 'any' : '::';
  const add = `ip link add ${device} type ${type} local ${address.text} remote ${anybody} && ip link set ${device} up`;
  // The kernel's own fallback devices take nothing by themselves while they are down.
  const [one] = fits.filter(({ name: own }) => own !== 'gre0' && own !== 'ip6gre0');
  if (one === undefined) {
    return [
      {
        level: 'error',
        saw: `no GRE tunnel takes packets to ${address.text}, and ${name} has agent: false (ip -details link show type ${type})`,
        breaks: 'This host answers GRE from the forwarders with ICMP errors: no packet for a VIP arrives.',
        mend: add,
      },
    ];
  }
  return [
    {
      level: 'error',
      saw: `${one.name} ${wrongWith(one)} (ip -details link show dev ${one.name})`,
      breaks: 'The kernel refuses GRE from the forwarders: no packet for a VIP arrives.',
      mend: one.isUp ? `ip link del ${one.name} && ${add}` : `ip link set ${one.name} up`,
    },
  ];
}

function isGood({ isUp, remote, key }: Tunnel): boolean {
  return isUp && remote === undefined && key === undefined;
}

function wrongWith({ isUp, remote, key }: Tunnel): string {
  if (!isUp) return 'is down';
  if (key !== undefined)
    return `takes only packets with the key ${key}, and forwarders send none to a plain tunnel`;
  return `takes packets from ${remote} only`;
}
