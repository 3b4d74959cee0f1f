/**
 * The kernel's route to each backend, by its routing tables and rules. A snapshot; next-hops.ts keeps it current.
 *
 * All backends are asked for in one run of `ip`, which takes 0.12 s for 4000 of them; one run each would take 16 s.
 * Of a route with several next hops the kernel names one, chosen by its hash of the address.
 */
import { AnyhopError } from '../core/errors.js';
import { type RunTool, requireTool } from '../core/tool.js';
import { type IpAddress, parseAddress, parsePrefix, prefixContains } from '../packet/address.js';
import type { Link } from './link.js';

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
  /** The address of this host that packets leave from, unless whoever sends them chooses another. */
  readonly prefsrc?: string;
  /** Instead of `gateway`, when that is of the other IP version. */
  readonly via?: { readonly host: string };
  readonly metrics?: readonly { readonly mtu?: number }[];
  /** Seconds for which this holds: what the kernel learned about the path, or a router advertised, and nobody configured. */
  readonly expires?: number;
  /** What the route itself wraps packets in: `mpls`, `ip6`, `seg6` and so on. */
  readonly encap?: string;
}

/** What the kernel says about one address: a route, or its reason against one. */
export type Answer = IpRoute | string;

/** What packets are sent from, by IP version: rules may look at it (`ip rule add from 10.0.0.1 lookup 100`). */
export interface RouteSources {
  readonly source4?: IpAddress | undefined;
  readonly source6?: IpAddress | undefined;
}

export interface SourcedAnswers {
  /** In the order of the addresses. */
  readonly answers: readonly Answer[];
  /** The IPv4 source that was left out, for it is no address of this host: the kernel then tells no route for it. */
  readonly strange: IpAddress | undefined;
}

/**
 * The kernel's route to each address for packets from these sources that start here: neither an interface that they came in by
 * nor a mark is theirs, as neither is of what is sent.
 */
export async function askFrom(
  addresses: readonly IpAddress[],
  { source4, source6 }: RouteSources,
  run: RunTool,
): Promise<SourcedAnswers> {
  const question = ({ text, family }: IpAddress): string => {
    const source = family === 4 ? source4 : source6;
    return source === undefined ? text : `${text} from ${source.text}`;
  };
  if (source4 === undefined || !addresses.some(({ family }) => family === 4))
    return { answers: await ask(addresses.map(question), run), strange: undefined };
  const [own, ...answers] = await ask([source4.text, ...addresses.map(question)], run);
  if (typeof own !== 'string' && own.type === 'local') return { answers, strange: undefined };
  return { ...(await askFrom(addresses, { source6 }, run)), strange: source4 };
}

/** The kernel's route to each address, in their order, without judging it. */
export function askKernel(addresses: readonly IpAddress[], run: RunTool): Promise<Answer[]> {
  return ask(
    addresses.map(({ text }) => text),
    run,
  );
}

interface IpRule {
  readonly priority: number;
  readonly src: string;
  readonly srclen?: number;
}

/** The rules for IPv4 that look at a source and concern this one, as `ip rule` names them. */
export async function rulesFrom(source: IpAddress, run: RunTool): Promise<string[]> {
  const rules: IpRule[] = JSON.parse(await requireTool(run, 'ip', ['-4', '-json', 'rule', 'show']));
  return rules.flatMap(({ priority, src, srclen = 32 }) => {
    const prefix = parsePrefix(`${src}/${srclen}`);
    return prefix !== undefined && prefixContains(prefix, source)
      ? [`${priority}: from ${src}/${srclen}`]
      : [];
  });
}

async function ask(questions: readonly string[], run: RunTool): Promise<Answer[]> {
  const commands = questions.map((question) => `route get ${question}\n`).join('');
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
  if (found.length + failures.size !== questions.length) {
    throw new AnyhopError(
      'ERR_TOOL',
      `ip ${args.join(' ')}: ${stderr.trim() || 'not one answer a question'}`,
      {
        hint: 'iproute2 of Debian 12 (6.1) or later is known to work.',
      },
    );
  }
  let next = 0;
  return questions.map((_, i) => failures.get(i) ?? (JSON.parse(found[next++]) as IpRoute[])[0]);
}

/** Why the kernel's answer is no route to another machine, in words that follow "it" or stand alone; or undefined. */
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

/**
 * The least that is believed of an MTU that the kernel learned: one forged ICMP error about a ping makes it learn 552. This has room for
 * an IPv6 packet of 1280 bytes in any outer headers; path-mtus.ts learns smaller ones.
 */
const LEARNED_MTU_MIN = 1328;

/** In bytes at layer 3: the interface's, or the route's when that is smaller; 0 when the interface is gone. */
export function routeMtu({ metrics = [], expires }: IpRoute, link: Link | undefined): number {
  const least = expires === undefined ? 0 : LEARNED_MTU_MIN;
  return Math.min(link?.mtu ?? 0, ...metrics.map(({ mtu = Infinity }) => Math.max(mtu, least)));
}

function addressOf(text: string | undefined): IpAddress | undefined {
  return text === undefined ? undefined : parseAddress(text);
}
