/** Addresses that no VIP, backend or forwarder can have. */
import { type IpPrefix, parsePrefix, prefixesOverlap } from '../../packet/address.js';

const UNUSABLE: readonly (readonly [prefix: string, why: string])[] = [
  ['0.0.0.0/8', 'unspecified ("this network", RFC 1122)'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'broadcast'],
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['::ffff:0:0/96', 'IPv4-mapped (write the IPv4 address itself)'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
];

const unusable = UNUSABLE.map(([text, why]) => {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(`not a prefix: ${text}`);
  return { prefix, why };
});

/** Why an address, or part of a prefix, cannot be a source or destination; undefined when it can. */
export function whyUnusable(prefix: IpPrefix): string | undefined {
  const range = unusable.find((candidate) => prefixesOverlap(candidate.prefix, prefix));
  if (range === undefined) return undefined;
  const inside = range.prefix.length <= prefix.length ? 'is' : 'contains addresses that are';
  return `${prefix.text.replace(/\/(32|128)$/, '')} ${inside} ${range.why}`;
}
