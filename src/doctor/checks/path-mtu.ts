/**
 * Whether packets as large as the node sends arrive at each backend: echo requests that may not be cut, of the size that the route takes.
 * Where one is lost and a small one is not, the largest that arrives is searched for.
 */
import type { IpAddress } from '../../packet/address.js';
import { type Answer, gatewayOf, type IpRoute, routeMtu } from '../../underlay/route.js';
import type { Check, Finding } from '../check.js';
import { Unseen } from '../check.js';
import type { Facts, Target } from '../facts.js';
import { type Heard, largestHeard } from '../probe-mtu.js';
import { sourcesOf } from '../sources.js';

/** Of distinct addresses; with more, one would wait too long. --backend asks for any. */
const PROBED_MAX = 32;
/** Of those where large packets are lost; of the others, only that is told. */
const SEARCHED_MAX = 4;

export const pathMtu: Check = {
  name: 'path-mtu',
  where: ['forwarder'],
  looks:
    'Packets of the size that the route takes arrive at each backend: ICMP echo requests that may not be fragmented.',
  async run(facts) {
    const unreached = await facts.unreached();
    const distinct = new Map((await facts.routes()).map((each) => [each.target.address.text, each]));
    const probed = [...distinct.values()]
      .filter(({ target }) => !unreached.has(target.address.text))
      .slice(0, PROBED_MAX);
    let searched = 0;
    const maySearch = (): boolean => ++searched <= SEARCHED_MAX;
    const found = await Promise.all(
      probed.map(({ target, answer }) => probeOne(facts, target, answer, maySearch)),
    );
    const silent = found.filter((each) => each === 'silent');
    if (silent.length > 0 && silent.length === probed.length)
      throw new Unseen('no backend answers ICMP echo requests');
    return found.filter((each) => typeof each === 'object');
  },
};

async function probeOne(
  facts: Facts,
  target: Target,
  route: Answer,
  maySearch: () => boolean,
): Promise<Finding | 'silent' | undefined> {
  if (typeof route === 'string') return undefined;
  const believed = routeMtu(route, (await facts.links()).get(route.dev));
  const { source4, source6 } = sourcesOf(facts);
  const from = ownSource(facts, target.address.family === 4 ? source4 : source6);
  const heard = await largestHeard({ to: target.address, from }, believed, maySearch, facts.host.run);
  if (heard.bytes === 0) return 'silent';
  return heard.bytes >= believed ? undefined : judge(target, believed, heard, route);
}

/** An address of this host: nothing else can be sent from. */
function ownSource({ host }: Facts, source: IpAddress | undefined): IpAddress | undefined {
  return host.addresses().some(({ text }) => text === source?.text) ? source : undefined;
}

function judge(
  { pool, name, address }: Target,
  believed: number,
  { bytes, said }: Heard,
  route: IpRoute,
): Finding {
  const probed = `ping -M do: packets of ${bytes} bytes arrive at ${pool}/${name} (${address.text}), and of ${believed} do not`;
  const gateway = gatewayOf(route);
  const via = gateway === undefined ? '' : ` via ${gateway.text}`;
  const narrow = `ip route replace ${address.text}${via} dev ${route.dev} mtu ${bytes}`;
  if (said !== undefined) {
    return {
      level: 'warning',
      saw: `${probed}; ${said.by} says that ${said.mtu} fit`,
      breaks:
        'The node learns it from the first packet that is lost, and again every ten minutes. Clients must then make smaller packets.',
      mend: `raise the MTU behind ${said.by}, or tell the kernel: ${narrow}`,
    };
  }
  return {
    level: 'error',
    saw: `${probed}, and nobody says so`,
    breaks: 'Larger packets vanish: small pages work, and uploads stall.',
    mend: `raise the MTU on the way, or tell the kernel: ${narrow}`,
  };
}
