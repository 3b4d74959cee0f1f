/**
 * Rules on second chance: the 32 bits of a GRE key (RFC 2890) must identify exactly one backend. This includes backends
 * without an agent: they get no key themselves, but may be the alternate of another backend.
 */
import { type IpAddress, prefixContains } from '../../packet/address.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftPool } from '../draft.js';
import { formatPath } from '../path.js';
import { describePlace, type Report } from '../problems.js';
import type { Role } from '../types.js';

export function checkSecondChance(draft: Draft, role: Role, document: ConfigDocument, report: Report): void {
  const pools = new Set<string>();
  for (const service of draft.services) {
    if (!service.secondChance) continue;
    if (service.protocol === 'udp') {
      report(
        [...service.at, 'second_chance'],
        'found on for a UDP service; expected off: UDP has no handshake that shows whose packet it is',
      );
    } else if (service.pool !== undefined) pools.add(service.pool);
  }
  const words: KeyWords = new Map();
  for (const pool of draft.pools) {
    if (!pools.has(pool.name)) continue;
    checkPrefix(draft, pool, role, report);
    checkKeyWords(pool, words, document, report);
  }
}

function checkPrefix(draft: Draft, pool: DraftPool, role: Role, report: Report): void {
  const { node } = draft;
  const prefix = node?.secondChancePrefix;
  if (prefix === undefined) {
    // A wrong node or prefix has its own message, and a command that reads only pools needs no node.
    const isJudged =
      node === undefined
        ? role === 'agent' && !draft.written.has('node')
        : !node.written.has('second_chance_prefix');
    if (!isJudged) return;
  }
  for (const { at, address } of [...pool.backends, ...(pool.prior ?? [])]) {
    if (address?.family !== 6) continue;
    if (prefix !== undefined && prefixContains(prefix, address)) continue;
    report(
      [...at, 'address'],
      prefix === undefined
        ? `found the IPv6 address ${address.text} in a pool with second chance; expected ` +
            'node.second_chance_prefix to give the /96 that it lies in'
        : `${address.text} lies outside node.second_chance_prefix ${prefix.text}; expected an address within it`,
    );
  }
}

/** The first backend with each key word. */
type KeyWords = Map<number, { address: IpAddress; at: readonly (string | number)[] }>;

/** Reports two addresses with one key word, in any pools: an agent could not tell them apart. */
function checkKeyWords(pool: DraftPool, first: KeyWords, document: ConfigDocument, report: Report): void {
  for (const { address, at } of [...pool.backends, ...(pool.prior ?? [])]) {
    if (address === undefined) continue;
    const word = keyWord(address);
    const other = first.get(word);
    if (other === undefined) first.set(word, { address, at });
    else if (other.address.text !== address.text) {
      report(
        [...at, 'address'],
        `${address.text} has the same GRE key, 0x${word.toString(16).padStart(8, '0')}, as ${other.address.text} of ` +
          `${formatPath(other.at)} (${describePlace(document, [...other.at, 'address'])}); expected last 32 bits ` +
          'that no other backend of a pool with second chance has',
      );
    }
  }
}

/** The 32 bits of an address in a GRE key: all of an IPv4 address, the last ones of an IPv6 address. */
function keyWord(address: IpAddress): number {
  const { bytes } = address;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(bytes.length - 4);
}
