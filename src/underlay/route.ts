/**
 * Next hops: the kernel's way to each backend, by its routing tables and rules. A snapshot; who needs it current asks
 * again. The neighbour (MAC address) behind a gateway is not looked up here.
 *
 * All backends are asked for in one run of `ip`, which takes 0.12 s for 4000 of them; one run each would take 16 s.
 * Of a route with several next hops the kernel names one, chosen by its hash of the address.
 */
import { AnyhopError } from '../core/errors.js';
import { L } from '../core/layout.gen.js';
import { type RunTool, runTool } from '../core/tool.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import { type Link, readLinks } from './link.js';

export interface Route {
  readonly interface: string;
  readonly interfaceIndex: number;
  /** The interface's own address, six bytes; undefined when it is not Ethernet. */
  readonly mac: Uint8Array | undefined;
  /** The router to send to, of either family; undefined when the backend is on the link. */
  readonly gateway: IpAddress | undefined;
  /** The address that the host itself would send from. */
  readonly preferredSource: IpAddress | undefined;
  /** In bytes at layer 3: the interface's, or the route's when that is smaller. */
  readonly mtu: number;
}

/** A backend as messages name it. */
export interface RouteTarget {
  readonly name: string;
  readonly address: IpAddress;
}

/** As `ip -json route get` writes one. */
export interface IpRoute {
  readonly type: string;
  readonly dev: string;
  readonly gateway?: string;
  /** Instead of `gateway`, when that is of the other IP version. */
  readonly via?: { readonly host: string };
  readonly prefsrc?: string;
  readonly metrics?: readonly { readonly mtu?: number }[];
  /** What the route itself wraps packets in: `mpls`, `ip6`, `seg6` and so on. */
  readonly encap?: string;
}

/** What the kernel says about one address: a route, or its reason against one. */
export type Answer = IpRoute | string;

/** Errors beyond this many are counted, not listed. */
const ERRORS_SHOWN = 5;

/**
 * The way to one address.
 * @param name of the backend, for messages
 * @throws AnyhopError ERR_ROUTE when there is none
 */
export async function lookupRoute(
  address: IpAddress,
  name: string = address.text,
  run: RunTool = runTool,
): Promise<Route> {
  const [route] = await lookupRoutes([{ name, address }], run);
  return route;
}

/**
 * The ways to several backends, in their order.
 * @throws AnyhopError ERR_ROUTE that names every backend (the first five) without a usable way, and what to do
 */
export async function lookupRoutes(
  targets: readonly RouteTarget[],
  run: RunTool = runTool,
): Promise<Route[]> {
  if (targets.length === 0) return [];
  const [answers, links] = await Promise.all([
    askKernel(
      targets.map(({ address }) => address),
      run,
    ),
    readLinks(run),
  ]);
  const problems: { sentence: string; hint: string }[] = [];
  const routes: Route[] = [];
  for (const [i, target] of targets.entries()) {
    const answer = answers[i];
    const problem = routeProblem(target, answer);
    if (problem !== undefined || typeof answer === 'string') {
      problems.push(problem!);
      continue;
    }
    const link = links.get(answer.dev);
    const mtu = routeMtu(answer, link);
    if (mtu < L.PATH_MTU_MIN) {
      problems.push({
        sentence: `the way to backend ${target.name} (${target.address.text}) over ${answer.dev} has an MTU of ${mtu} bytes`,
        hint: `At least ${L.PATH_MTU_MIN} bytes are needed, and 24 to 44 more than clients send are of use.`,
      });
      continue;
    }
    routes.push({
      interface: answer.dev,
      interfaceIndex: link?.index ?? 0,
      mac: link?.mac,
      gateway: gatewayOf(answer),
      preferredSource: addressOf(answer.prefsrc),
      mtu,
    });
  }
  if (problems.length > 0) throw routeError(problems);
  return routes;
}

/** The kernel's route to each address, in their order, without judging it. */
export async function askKernel(addresses: readonly IpAddress[], run: RunTool): Promise<Answer[]> {
  const commands = addresses.map((address) => `route get ${address.text}\n`).join('');
  const args = ['-force', '-json', '-details', '-batch', '-'];
  const { stdout, stderr } = await run('ip', args, commands);
  // A failure is a line with the reason and one that says which command it was, counted from 1.
  const failures = new Map<number, string>();
  let reason = '';
  for (const line of stderr.split('\n')) {
    const failed = /^Command failed -:(\d+)$/.exec(line);
    if (failed === null) reason = line;
    else failures.set(Number(failed[1]) - 1, reason.replace(/^RTNETLINK answers: |^Error: /, ''));
  }
  // The others have one line of JSON each, in order.
  const found = stdout.split('\n').filter((line) => line.startsWith('['));
  if (found.length + failures.size !== addresses.length) {
    throw new AnyhopError(
      'ERR_TOOL',
      `ip ${args.join(' ')}: ${stderr.trim() || 'not one answer a question'}`,
      {
        hint: 'iproute2 of Debian 12 (6.1) or later is known to work.',
      },
    );
  }
  let next = 0;
  return addresses.map((_, i) => failures.get(i) ?? (JSON.parse(found[next++]) as IpRoute[])[0]);
}

/** Why the kernel's answer is no way to another machine, in words that follow "it" or stand alone; or undefined. */
export function refusalOf(answer: Answer): string | undefined {
  if (typeof answer === 'string') {
    const reason = answer.toLowerCase();
    return REFUSALS[reason] ?? reason;
  }
  if (answer.type === 'local') return 'it is this host itself';
  return answer.type === 'unicast' ? undefined : `it is a ${answer.type} address`;
}

/** What the kernel's errors mean here. */
const REFUSALS: Readonly<Record<string, string>> = {
  'permission denied': 'a prohibit route refuses it',
  'invalid argument': 'a blackhole route swallows it',
  'no route to host': 'an unreachable route refuses it',
  'network is unreachable': 'no route covers it',
};

/** The router that a route leads to; undefined when its destination is on the link. */
export function gatewayOf(route: IpRoute): IpAddress | undefined {
  return addressOf(route.gateway ?? route.via?.host);
}

/** In bytes at layer 3: the interface's, or the route's when that is smaller; 0 when the interface is gone. */
export function routeMtu(route: IpRoute, link: Link | undefined): number {
  return Math.min(link?.mtu ?? 0, ...(route.metrics ?? []).map((metric) => metric.mtu ?? Infinity));
}

/** Why a backend cannot be sent to, or undefined. */
function routeProblem(
  { name, address }: RouteTarget,
  answer: Answer,
): { sentence: string; hint: string } | undefined {
  const refusal = refusalOf(answer);
  if (refusal === undefined) return undefined;
  return {
    sentence: `no route to backend ${name} (${address.text}): ${refusal}`,
    hint: `A backend must be another machine that packets can be sent to. See: ip route get ${address.text}`,
  };
}

function routeError(problems: readonly { sentence: string; hint: string }[]): AnyhopError {
  const shown = problems.slice(0, ERRORS_SHOWN).map(({ sentence }) => sentence);
  if (problems.length > ERRORS_SHOWN) shown.push(`and ${problems.length - ERRORS_SHOWN} more`);
  return new AnyhopError('ERR_ROUTE', shown.join('\n'), { hint: problems[0].hint });
}

function addressOf(text: string | undefined): IpAddress | undefined {
  return text === undefined ? undefined : parseAddress(text);
}
