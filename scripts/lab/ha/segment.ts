/**
 * A segment: machines of a lab whose ports of the router are one Ethernet, as behind a switch. A floating address can move between
 * them, which it cannot between links with two ends.
 */
import { run } from '../command.js';
import { type Host, UNDERLAY_MTU } from '../topology.js';

/**
 * Makes a bridge of the machines' ports; the router's addresses on their links become the bridge's, and `addresses` as well,
 * which have a prefix length.
 */
export async function joinSegment(
  router: string,
  name: string,
  machines: readonly Host[],
  addresses: readonly string[],
): Promise<void> {
  const ip = (lines: readonly string[]): Promise<string> =>
    run(['ip', '-n', router, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  // A bridge that looks at multicast delays what needs it: neighbours of IPv6, and VRRP.
  await ip([`link add ${name} mtu ${UNDERLAY_MTU} type bridge mcast_snooping 0`]);
  await run(['ip', 'netns', 'exec', router, 'ethtool', '-K', name, 'tx', 'off']);
  await ip([
    ...machines.flatMap((machine) => [
      `addr flush dev ${machine.name}`,
      `link set ${machine.name} master ${name}`,
      `addr add ${machine.router4}/24 dev ${name}`,
      `addr add ${machine.router6}/64 dev ${name} nodad`,
    ]),
    ...addresses.map((address) => `addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`),
    `link set ${name} up`,
  ]);
}
