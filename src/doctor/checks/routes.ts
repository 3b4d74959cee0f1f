/** Packets for a backend need a route that leads to another machine, and by an interface that an XDP program can send out of. */

import { xdpUnreachable } from '../../engine/xdp/reach.js';
import { leastMtus, narrowForIpv6 } from '../../pool/least-mtu.js';
import { refusalOf, routeMtu } from '../../underlay/route.js';
import type { Check, Finding } from '../check.js';
import type { Target } from '../facts.js';

export const routes: Check = {
  name: 'routes',
  where: ['forwarder'],
  looks:
    'A route leads to each backend, to another machine, out of an interface that the engine can send by, and wide enough for IPv6 services.',
  async run(facts) {
    const { place } = facts;
    const links = await facts.links();
    const on = await facts.link();
    const isXdp = (await facts.engine()) === 'xdp';
    const least = leastMtus(place.config);
    const findings = (await facts.routes()).map(({ target, answer }): Finding | undefined => {
      const why = refusalOf(answer);
      if (why !== undefined) {
        const saw = `no packet can be sent to ${nameOf(target)}: ${why} (ip route get ${target.address.text})`;
        return {
          level: 'error',
          saw,
          breaks: 'The backend counts as down.',
          mend:
            typeof answer !== 'string' && answer.type === 'local'
              ? `take ${nameOf(target)} out of ${place.config.file}, or its address off this host: ip addr show to ${target.address.text}`
              : `ip route add ${target.address.text} via GATEWAY dev ${on.name}`,
        };
      }
      if (typeof answer === 'string') return undefined;
      const out = links.get(answer.dev);
      if (out === undefined) return undefined;
      const unreachable = isXdp
        ? xdpUnreachable({ interface: out.name, interfaceIndex: out.index, kind: out.kind }, on)
        : undefined;
      if (unreachable !== undefined) {
        return {
          level: 'error',
          saw: `the way to ${nameOf(target)}: ${unreachable} (ip route get ${target.address.text})`,
          breaks: 'The kernel drops what the program redirects there; the backend counts as down.',
          mend: `route it out of ${on.name}, or node.engine: portable`,
        };
      }
      const narrow = narrowForIpv6(nameOf(target), routeMtu(answer, out), least.get(target.address.text));
      if (narrow === undefined) return undefined;
      return {
        level: 'error',
        saw: `${narrow} (ip route get ${target.address.text})`,
        breaks: 'Clients of IPv6 services stall on every full packet.',
        mend: `ip link set dev ${out.name} mtu ${least.get(target.address.text)!.ipv6}, and on the machines behind it`,
      };
    });
    return findings.filter((each) => each !== undefined);
  },
};

function nameOf({ pool, name }: Target): string {
  return `${pool}/${name}`;
}
