/**
 * The largest packet that gets to an address, by ICMP echo requests that may not be cut (`ping -M do`). Several sizes are tried at once: a
 * packet that is lost takes a second to be sure of, and a search by halves would take ten.
 */
import type { RunTool } from '../core/tool.js';
import type { IpAddress } from '../packet/address.js';
import { P } from '../packet/constants.js';

const ICMP_HEADER = 8;
/** What every host takes (RFC 791), and every IPv6 link (RFC 8200). */
const LEAST = { 4: 576, 6: 1280 } as const;
/** Of Ethernet and of what is put around it: most paths have one of these. */
const USUAL = [1280, 1400, 1420, 1450, 1472, 1476, 1480, 1492, 1500, 4074, 8900, 9000];
const SIZES_AT_ONCE = 12;
const ROUNDS_MAX = 2;

export interface Heard {
  /** Of the largest packet that was answered, in bytes at layer 3; 0: none was. */
  readonly bytes: number;
  /** Who said that a packet is too big, if anybody, and what fits. */
  readonly said: { readonly by: string; readonly mtu: number } | undefined;
}

export interface Way {
  readonly to: IpAddress;
  /** Undefined: the kernel chooses. */
  readonly from: IpAddress | undefined;
}

/**
 * @param most in bytes at layer 3: what is tried first, and not exceeded
 * @param maySearch whether to look for more than a small packet when that one is lost: it takes two seconds and dozens of packets
 */
export async function largestHeard(
  way: Way,
  most: number,
  maySearch: () => boolean,
  run: RunTool,
): Promise<Heard> {
  const least = Math.min(LEAST[way.to.family], most);
  const [whole, small] = await Promise.all([probe(way, most, run), probe(way, least, run)]);
  if (whole.isHeard) return { bytes: most, said: undefined };
  if (!small.isHeard) return { bytes: 0, said: undefined };
  let said = whole.said;
  let [low, high] = [least, most];
  const rounds = maySearch() ? ROUNDS_MAX : 0;
  for (let round = 0; round < rounds && high - low > 1; round++) {
    const sizes = between(low, high);
    const answers = await Promise.all(sizes.map((size) => probe(way, size, run)));
    for (const [i, { isHeard, said: also }] of answers.entries()) {
      if (isHeard) low = Math.max(low, sizes[i]);
      said ??= also;
    }
    high = Math.min(high, ...sizes.filter((size, i) => size > low && !answers[i].isHeard));
  }
  return { bytes: low, said };
}

/** Sizes that are tried in one round: the usual ones, and more at equal distances. Neither of the two is among them. */
function between(low: number, high: number): number[] {
  const usual = USUAL.filter((size) => size > low && size < high);
  const steps = Math.max(2, SIZES_AT_ONCE - usual.length);
  const even = Array.from({ length: steps }, (_, i) =>
    Math.round(low + ((high - low) * (i + 1)) / (steps + 1)),
  );
  return [...new Set([...usual, ...even])].filter((size) => size > low && size < high);
}

interface Probed {
  readonly isHeard: boolean;
  readonly said: Heard['said'];
}

/** Five requests in a second, until one is answered: some may be lost for another reason. */
async function probe({ to, from }: Way, bytes: number, run: RunTool): Promise<Probed> {
  const header = to.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  const { code, stdout } = await run('ping', [
    `-${to.family}`,
    ...['-n', '-c', '1', '-w', '1', '-i', '0.2', '-M', 'do', '-s', `${bytes - header - ICMP_HEADER}`],
    ...(from === undefined ? [] : ['-I', from.text]),
    to.text,
  ]);
  return { isHeard: code === 0, said: saidIn(stdout) };
}

/** `From 10.0.1.254 icmp_seq=1 Frag needed and DF set (mtu = 1400)`, `... Packet too big: mtu=1400`, `... message too long, mtu: 1400`. */
function saidIn(text: string): Heard['said'] {
  const remote =
    /^From (\S+) icmp_seq=\d+ (?:Frag needed and DF set \(mtu = (\d+)\)|Packet too big: mtu=(\d+))/m.exec(
      text,
    );
  if (remote !== null) return { by: remote[1], mtu: Number(remote[2] ?? remote[3]) };
  const local = /message too long, mtu[=:] ?(\d+)/.exec(text);
  return local === null ? undefined : { by: 'this host', mtu: Number(local[1]) };
}
