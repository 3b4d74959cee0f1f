/**
 * What nftables does with one packet, as far as its ruleset says: the hooks that the packet passes, their chains in order, each rule in
 * order. A rule that asks for something that is not known of the packet may or may not match. So there are three answers, and only a
 * certain one is reported: `dropped`, by a rule whose every condition holds, or by a policy that no rule may have come before.
 *
 *   packet --> prerouting --> input        each chain: rules --> accept | drop | jump ... --> policy
 *
 * nftables knows far more than this; what is not understood counts as not known.
 */
import { type RunTool, requireTool } from '../core/tool.js';
import { type IpAddress, parseAddress, prefixContains } from '../packet/address.js';

/** What is known of the packet. */
export interface Packet {
  readonly hooks: readonly string[];
  readonly family: 4 | 6;
  /** As nft names it: `tcp`, `udp`, `gre`, `icmp`, `ipv6-icmp`. */
  readonly protocol: string;
  readonly source?: IpAddress | undefined;
  readonly destination?: IpAddress | undefined;
  readonly destinationPort?: number;
  readonly inInterface?: string | undefined;
  readonly outInterface?: string | undefined;
  /** As conntrack sees it: `new`, `invalid`. */
  readonly state?: string;
  /** `destination-unreachable`, `packet-too-big`. */
  readonly icmpType?: string;
}

export interface Ruleset {
  readonly chains: readonly Chain[];
  /** Elements of named sets, by table and name. */
  readonly sets: ReadonlyMap<string, readonly unknown[]>;
}

interface Chain {
  readonly table: string;
  readonly name: string;
  readonly family: string;
  /** Undefined for one that others jump to. */
  readonly hook: string | undefined;
  readonly priority: number;
  readonly drops: boolean;
  readonly rules: readonly (readonly Statement[])[];
}

type Statement = Readonly<Record<string, unknown>>;

/** Of a chain, or of a rule: what becomes of the packet; `next`: nothing yet; `maybe`: a rule that may match ends its way. */
type Fate = 'accepted' | 'dropped' | 'next' | 'maybe';

interface Place {
  readonly family: string;
  readonly table: string;
}

/** One of the objects that `nft -j list ruleset` lists (libnftables-json(5)). */
interface Shown {
  readonly chain?: Place & { name: string; hook?: string; prio?: number; policy?: string };
  readonly rule?: Place & { chain: string; expr: readonly Statement[] };
  readonly set?: Place & { name: string; elem?: readonly unknown[] };
}

/** @throws AnyhopError ERR_TOOL when nft is missing, or this user may not ask */
export async function readRuleset(run: RunTool): Promise<Ruleset> {
  const text = await requireTool(run, 'nft', ['-j', 'list', 'ruleset']);
  const { nftables } = JSON.parse(text) as { nftables: Shown[] };
  const rules = nftables.flatMap(({ rule }) => rule ?? []);
  const chains = nftables.flatMap(({ chain }): Chain[] => {
    if (chain === undefined) return [];
    const { family, table, name, hook, prio = 0, policy } = chain;
    const own = rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === name);
    return [
      {
        table: `${family} ${table}`,
        name,
        family,
        hook,
        priority: Number(prio),
        drops: policy === 'drop',
        rules: own.map(({ expr }) => expr),
      },
    ];
  });
  const sets = nftables.flatMap(({ set }): [string, readonly unknown[]][] =>
    set === undefined ? [] : [[`${set.family} ${set.table} ${set.name}`, set.elem ?? []]],
  );
  return { chains, sets: new Map(sets) };
}

const TRANSLATIONS = ['dnat', 'redirect', 'tproxy'];

/** Whether a rule sends packets to other addresses or ports, so that a listener may be somewhere else. */
export function translates({ chains }: Ruleset): boolean {
  return chains.some(({ table, rules }) => {
    const kinds = table.endsWith(' nat') ? [...TRANSLATIONS, 'xt'] : TRANSLATIONS;
    return rules.some((rule) =>
      rule.some((statement) => kinds.some((kind) => Object.hasOwn(statement, kind))),
    );
  });
}

export interface Dropped {
  /** `inet filter input` */
  readonly chain: string;
  /** By its policy, and not by a rule. */
  readonly byPolicy: boolean;
}

/** Where the packet is certainly dropped; undefined when it is not, or that is not known. */
export function droppedBy(ruleset: Ruleset, packet: Packet): Dropped | undefined {
  const families = new Set(['inet', packet.family === 4 ? 'ip' : 'ip6']);
  for (const hook of packet.hooks) {
    const bases = ruleset.chains
      .filter((chain) => chain.hook === hook && families.has(chain.family))
      .sort((a, b) => a.priority - b.priority);
    for (const chain of bases) {
      const fate = follow(ruleset, chain, packet, 0);
      const where = `${chain.table} ${chain.name}`;
      if (fate === 'dropped') return { chain: where, byPolicy: false };
      if (fate === 'next' && chain.drops) return { chain: where, byPolicy: true };
      if (fate === 'maybe') return undefined; // it may have been taken off its way
    }
  }
  return undefined;
}

/** Deeper chains than these are no one's; the kernel allows 16. */
const DEPTH_MAX = 16;

function follow(ruleset: Ruleset, chain: Chain, packet: Packet, depth: number): Fate {
  if (depth > DEPTH_MAX) return 'maybe';
  let uncertain = false;
  for (const rule of chain.rules) {
    const { holds, fate } = judge(ruleset, chain, rule, packet, depth);
    if (holds === false || fate === 'next') continue;
    if (holds === undefined || fate === 'maybe') {
      // One that may drop changes nothing when what follows drops as well.
      if (fate !== 'dropped') uncertain = true;
      continue;
    }
    if (fate === 'return') return uncertain ? 'maybe' : 'next';
    if (fate === 'dropped') return uncertain ? 'maybe' : 'dropped';
    return 'accepted';
  }
  return uncertain ? 'maybe' : 'next';
}

/** Whether a rule's conditions hold (undefined: not known), and what it then does. */
function judge(
  ruleset: Ruleset,
  chain: Chain,
  rule: readonly Statement[],
  packet: Packet,
  depth: number,
): { holds: boolean | undefined; fate: Fate | 'return' } {
  let holds: boolean | undefined = true;
  let fate: Fate | 'return' = 'next';
  for (const statement of rule) {
    const [kind = '', value] = Object.entries(statement)[0] ?? [];
    if (kind === 'match') {
      const matches = doesMatch(ruleset, chain, value as Match, packet);
      if (matches === false) return { holds: false, fate: 'next' };
      if (matches === undefined) holds = undefined;
    } else if (kind === 'jump' || kind === 'goto') {
      const { target } = value as { target: string };
      const next = ruleset.chains.find(({ table, name }) => table === chain.table && name === target);
      fate = next === undefined ? 'maybe' : follow(ruleset, next, packet, depth + 1);
      if (kind === 'goto' && fate === 'next') fate = 'maybe'; // it does not come back here
    } else if (MAY_END.has(kind)) {
      holds = undefined;
      // Of iptables, nft does not tell a condition from an action: in a table nat it may be a translation.
      if (kind === 'xt' && chain.table.endsWith(' nat')) fate = 'maybe';
    } else if (!LEAVES_ALONE.has(kind)) fate = VERDICTS[kind] ?? 'maybe';
  }
  return { holds, fate };
}

/** They end the rule unless something holds that is not known: how much came before, or what a module of iptables asks. */
const MAY_END: ReadonlySet<string> = new Set(['limit', 'quota', 'ct count', 'set', 'map', 'meter', 'xt']);
/** They decide nothing. */
const LEAVES_ALONE: ReadonlySet<string> = new Set([
  'counter',
  'log',
  'mangle',
  'notrack',
  'last',
  'ct helper',
]);

const VERDICTS: Readonly<Record<string, Fate | 'return'>> = {
  accept: 'accepted',
  drop: 'dropped',
  reject: 'dropped',
  return: 'return',
};

interface Match {
  readonly op: string;
  readonly left: unknown;
  readonly right: unknown;
}

function doesMatch(
  ruleset: Ruleset,
  chain: Chain,
  { op, left, right }: Match,
  packet: Packet,
): boolean | undefined {
  const value = known(left, packet);
  if (value === undefined) return undefined;
  if (value === null) return false; // a packet of another family or protocol has no such field
  const same = isAmong(ruleset, chain, value, right);
  if (op === '==' || op === 'in') return same;
  return op === '!=' && same !== undefined ? !same : undefined;
}

/** A field of the packet; undefined: not known; null: it has none. */
function known(left: unknown, packet: Packet): string | number | IpAddress | undefined | null {
  const { meta, payload, ct } = (left ?? {}) as {
    meta?: { key: string };
    payload?: { protocol?: string; field?: string };
    ct?: { key: string };
  };
  if (meta !== undefined) return ofMeta(meta.key, packet);
  if (ct !== undefined) return ct.key === 'state' ? packet.state : undefined;
  const { protocol, field = '' } = payload ?? {};
  if (protocol === undefined) return undefined;
  if (protocol === 'ip' || protocol === 'ip6') {
    if (protocol !== (packet.family === 4 ? 'ip' : 'ip6')) return null;
    return {
      saddr: packet.source,
      daddr: packet.destination,
      protocol: packet.protocol,
      nexthdr: packet.protocol,
    }[field];
  }
  if (protocol === 'icmp' || protocol === 'icmpv6')
    return packet.protocol === ICMP[packet.family] ? (field === 'type' ? packet.icmpType : undefined) : null;
  if (protocol !== 'th' && protocol !== packet.protocol) return null;
  return field === 'dport' ? packet.destinationPort : undefined;
}

const ICMP = { 4: 'icmp', 6: 'ipv6-icmp' } as const;

function ofMeta(key: string, packet: Packet): string | undefined {
  if (key === 'l4proto') return packet.protocol;
  if (key === 'nfproto') return packet.family === 4 ? 'ipv4' : 'ipv6';
  if (key === 'iifname' || key === 'iif') return packet.inInterface;
  return key === 'oifname' || key === 'oif' ? packet.outInterface : undefined;
}

/** nft names protocols, and sometimes numbers them. */
const NUMBERS: Readonly<Record<string, string>> = {
  '6': 'tcp',
  '17': 'udp',
  '47': 'gre',
  '1': 'icmp',
  '58': 'ipv6-icmp',
};

function isAmong(
  ruleset: Ruleset,
  chain: Chain,
  value: string | number | IpAddress,
  right: unknown,
): boolean | undefined {
  if (typeof right === 'string' && right.startsWith('@')) {
    const elements = ruleset.sets.get(`${chain.table} ${right.slice(1)}`);
    return elements && isAmong(ruleset, chain, value, { set: elements });
  }
  if (typeof right === 'string' || typeof right === 'number') return isSame(value, right);
  if (Array.isArray(right)) return anyOf(right.map((each) => isAmong(ruleset, chain, value, each)));
  const { set, prefix, range, elem } = (right ?? {}) as {
    set?: unknown[];
    prefix?: { addr: string; len: number };
    range?: [unknown, unknown];
    elem?: { val: unknown };
  };
  if (Array.isArray(set)) return anyOf(set.map((each) => isAmong(ruleset, chain, value, each)));
  if (elem !== undefined) return isAmong(ruleset, chain, value, elem.val);
  if (prefix !== undefined && typeof value === 'object') {
    const address = parseAddress(prefix.addr);
    return address && prefixContains({ address, length: prefix.len, text: '' }, value);
  }
  if (range !== undefined && typeof value === 'number') {
    const [first, last] = range.map(Number);
    return value >= first && value <= last;
  }
  return undefined;
}

function isSame(value: string | number | IpAddress, right: string | number): boolean {
  if (typeof value === 'object') return value.text === (parseAddress(String(right))?.text ?? right);
  const text = String(right);
  if (text.endsWith('*')) return String(value).startsWith(text.slice(0, -1));
  return String(value) === (NUMBERS[text] !== undefined && typeof value === 'string' ? NUMBERS[text] : text);
}

function anyOf(answers: readonly (boolean | undefined)[]): boolean | undefined {
  if (answers.includes(true)) return true;
  return answers.includes(undefined) ? undefined : false;
}
