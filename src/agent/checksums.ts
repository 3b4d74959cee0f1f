/**
 * Segments and datagrams that this host drops for their checksums, as its counters have them: they rise with what the agent
 * delivers when senders leave the checksum to a network card that a veth does not have. Nothing else says so: connections
 * hang, and the agent's own counters look well.
 */
import { readFileSync } from 'node:fs';
import type { Logger } from '../core/log.js';
import { CHECKSUM_HINT } from '../underlay/veth.js';

const WATCH_MS = 10_000;
/** Of what was delivered in the same time: networks spoil a packet now and then. */
const SHARE_MIN = 0.01;

export interface ChecksumErrors {
  readonly tcp: number;
  readonly udp: number;
}

/** Both IP versions together. @param read the text of a file of this process's /proc; throws when there is none */
export function readChecksumErrors(read: (path: string) => string = readText): ChecksumErrors {
  const snmp = read('/proc/net/snmp');
  return {
    tcp: fieldOf(snmp, 'Tcp', 'InCsumErrors'), // of IPv6 as well
    udp: fieldOf(snmp, 'Udp', 'InCsumErrors') + udp6Errors(read),
  };
}

function readText(path: string): string {
  return readFileSync(path, 'latin1');
}

/** Of /proc/net/snmp, which has two lines a protocol: the names of its fields, then their values. */
export function fieldOf(snmp: string, protocol: string, field: string): number {
  const [names, values] = snmp
    .split('\n')
    .filter((line) => line.startsWith(`${protocol}:`))
    .map((line) => line.split(/\s+/));
  return Number(values?.[names.indexOf(field)] ?? 0) || 0;
}

function udp6Errors(read: (path: string) => string): number {
  try {
    return Number(/^Udp6InCsumErrors\s+(\d+)$/m.exec(read('/proc/net/snmp6'))?.[1] ?? 0);
  } catch {
    return 0; // a kernel without IPv6
  }
}

/** What there is to say of what was counted between two looks; undefined when there is nothing. */
export function checksumComplaint(
  before: ChecksumErrors,
  now: ChecksumErrors,
  delivered: number,
): string | undefined {
  const [tcp, udp] = [now.tcp - before.tcp, now.udp - before.udp];
  if (delivered <= 0 || tcp + udp < delivered * SHARE_MIN) return undefined;
  return `this host dropped ${tcp} TCP segments and ${udp} UDP datagrams for their checksums while ${delivered} packets were delivered to it`;
}

/**
 * Tells every 10 s in which there were such, until the returned function is called.
 * @param delivered packets that were, so far
 */
export function watchChecksums(delivered: () => number, log: Logger): () => void {
  let last = { errors: readChecksumErrors(), delivered: delivered() };
  const timer = setInterval(() => {
    const now = { errors: readChecksumErrors(), delivered: delivered() };
    const complaint = checksumComplaint(last.errors, now.errors, now.delivered - last.delivered);
    last = now;
    if (complaint !== undefined) log.warn({ event: 'bad_checksums', hint: CHECKSUM_HINT }, complaint);
  }, WATCH_MS).unref();
  return () => clearInterval(timer);
}
