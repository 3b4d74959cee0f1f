/** How packets leave a forwarder for the backends that are looked at: their sources, and the kernel's routes. */
import type { IpAddress, IpPrefix } from '../packet/address.js';
import { type Answer, askFrom, type RouteSources, refusalOf } from '../underlay/route.js';
import type { Facts, Target } from './facts.js';

/** Single addresses: no host has the addresses of a prefix. */
export function sourcesOf({ node }: Facts): RouteSources {
  return { source4: single(node.source4), source6: single(node.source6) };
}

function single(source: IpPrefix | undefined): IpAddress | undefined {
  return source?.length === (source?.address.family === 4 ? 32 : 128) ? source?.address : undefined;
}

export interface TargetRoute {
  readonly target: Target;
  readonly answer: Answer;
}

/** In the order of the targets. */
export async function routesOf(facts: Facts): Promise<TargetRoute[]> {
  const { targets } = facts.place;
  const addresses = targets.map(({ address }) => address);
  const { answers } = await askFrom(addresses, sourcesOf(facts), facts.host.run);
  return targets.map((target, i) => ({ target, answer: answers[i] }));
}

/**
 * Addresses that nothing can be sent to: no route leads there, or the node has no next hop. The checks `routes` and `backends` say why, and
 * others have nothing to add.
 */
export async function unreachedOf(facts: Facts): Promise<ReadonlySet<string>> {
  const refused = (await facts.routes()).filter(({ answer }) => refusalOf(answer) !== undefined);
  const members = (await facts.status())?.pools.flatMap(({ backends }) => backends) ?? [];
  return new Set([
    ...refused.map(({ target }) => target.address.text),
    ...members.filter(({ reachable }) => !reachable).map(({ address }) => address),
  ]);
}

/** The interfaces that packets to the targets leave by, and the one that they come in by. */
export async function sendingInterfaces(facts: Facts): Promise<ReadonlySet<string>> {
  const { where, interface: on } = facts.place;
  if (where !== 'forwarder' || (await facts.engine()) !== 'xdp') return new Set([on]);
  const routes = await facts.routes();
  return new Set([
    on,
    ...routes.flatMap(({ answer }) =>
      typeof answer === 'string' || answer.type !== 'unicast' ? [] : [answer.dev],
    ),
  ]);
}
