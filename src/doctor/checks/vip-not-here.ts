/** A forwarder must not have the VIPs, and its network must not take them for neighbours. */

import { requireTool } from '../../core/tool.js';
import { type IpPrefix, parseAddress, prefixContains } from '../../packet/address.js';
import { localAmong } from '../../underlay/local.js';
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';

export const vipNotHere: Check = {
  name: 'vip-not-here',
  where: ['forwarder'],
  looks:
    'No VIP is an address of this forwarder, or in the subnet of its interface, unless node.local_vips says so.',
  async run(facts) {
    if (facts.node.localVips) return [];
    const vips = facts.vips(facts.place.config.services);
    const here = await localAmong(vips, facts.host.run);
    const subnets = await subnetsOf(facts);
    return vips.flatMap((vip): Finding[] => {
      if (here.has(vip.text)) {
        return [
          {
            level: 'error',
            saw: `the VIP ${vip.text} is an address of this host (ip route get ${vip.text})`,
            breaks:
              "The host's own sockets answer for it on other interfaces, and on all of them while no node runs.",
            mend: `ip addr del ${vip.text} dev DEVICE (ip addr shows which); with keepalived: node.local_vips: true`,
          },
        ];
      }
      const subnet = subnets.find((prefix) => prefixContains(prefix, vip));
      if (subnet === undefined) return [];
      return [
        {
          level: 'warning',
          saw: `the VIP ${vip.text} is in ${subnet.text}, the subnet of ${facts.place.interface} (ip addr show dev ${facts.place.interface})`,
          breaks:
            'A forwarder answers no ARP and no neighbour solicitation for a VIP: machines of that subnet cannot reach it.',
          mend: `on the router: ip route add ${vip.text} via ADDRESS_OF_THIS_HOST`,
        },
      ];
    });
  },
};

interface Shown {
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen: number }[];
}

async function subnetsOf({ host, place }: Facts): Promise<IpPrefix[]> {
  const shown: Shown[] = JSON.parse(
    await requireTool(host.run, 'ip', ['-json', 'addr', 'show', 'dev', place.interface]),
  );
  return shown.flatMap(({ addr_info = [] }) =>
    addr_info.flatMap(({ local = '', prefixlen }) => {
      const address = parseAddress(local);
      return address === undefined ? [] : [{ address, length: prefixlen, text: `${local}/${prefixlen}` }];
    }),
  );
}
