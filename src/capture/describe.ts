/**
 * Records in words: the packet's comment in a capture file, a line on a terminal, an object of JSON.
 *
 *   12:05:00.123456 198.51.100.7:40000 > 203.0.113.10:80 tcp S 74 -> forwarded web slot 123 -> web-2 (alternate web-1) generation 7
 */
import { addressFromBytes } from '../packet/address.js';
import { P } from '../packet/constants.js';
import { keyIds } from '../packet/second-chance-key.js';
import { verdictsOf } from './compile.js';
import { PacketFields } from './fields.js';
import {
  type CaptureNames,
  type CapturePoint,
  type CaptureRecord,
  type NamedBackend,
  UNKNOWN,
  UNKNOWN_SLOT,
} from './record.js';

/** What numbers of a record mean, where they mean something. */
interface Meaning {
  readonly service: string | undefined;
  readonly pool: string | undefined;
  readonly backend: string | undefined;
  /** By the GRE key, in order. An id that no backend has is a number. */
  readonly alternates: readonly string[];
}

export interface CaptureText {
  /** Without the packet itself: what became of it, and why. */
  comment(record: CaptureRecord): string;
  line(record: CaptureRecord, wallNs: bigint): string;
  json(record: CaptureRecord, wallNs: bigint): object;
}

export function captureText(names: CaptureNames, point: CapturePoint): CaptureText {
  const verdicts = verdictsOf(point);
  const services = new Map(names.services.map((service) => [service.number, service]));
  const backends = new Map(names.backends.map((backend) => [backend.number, backend]));
  const fields = new PacketFields();
  const ids = new Map<number, NamedBackend[]>();
  for (const backend of names.backends) {
    const same = ids.get(backend.id);
    if (same === undefined) ids.set(backend.id, [backend]);
    else same.push(backend);
  }

  const meaningOf = (record: CaptureRecord): Meaning => {
    const service = record.service === UNKNOWN ? undefined : services.get(record.service);
    const backend = record.backend === UNKNOWN ? undefined : backends.get(record.backend);
    const pool = backend?.pool ?? service?.pool;
    const alternates = keyIds(record.key).map((id) => nameOfId(ids.get(id), id, pool));
    return { service: service?.name, pool, backend: backend?.name, alternates };
  };

  const became = (record: CaptureRecord): string => {
    const { service, backend, alternates } = meaningOf(record);
    const words = [verdicts[record.verdict]?.name ?? `verdict ${record.verdict}`];
    if (record.service !== UNKNOWN) words.push(service ?? `service ${record.service}`);
    if (record.slot !== UNKNOWN_SLOT) words.push(`slot ${record.slot}`);
    if (record.backend !== UNKNOWN) words.push('->', backend ?? `backend ${record.backend}`);
    if (alternates.length > 0)
      words.push(`(alternate${alternates.length > 1 ? 's' : ''} ${alternates.join(', ')})`);
    if (record.generation !== 0) words.push(`generation ${record.generation}`);
    return words.join(' ');
  };

  return {
    comment: (record) => {
      const verdict = verdicts[record.verdict];
      // The reason is in the name of a verdict, for those who know them.
      return verdict?.action === 'drop' ? `${became(record)}: ${verdict.description}` : became(record);
    },
    line: (record, wallNs) =>
      `${timeOfDay(wallNs)} ${packetWords(fields.read(record.inBytes, 0, record.inBytes.length, point))} ${record.inLength} -> ${became(record)}`,
    json: (record, wallNs) => {
      const { service, pool, backend, alternates } = meaningOf(record);
      const { family, bytes, source, destination, protocol, sourcePort, destinationPort } = fields.read(
        record.inBytes,
        0,
        record.inBytes.length,
        point,
      );
      const size = family === 6 ? 16 : 4;
      const address = (at: number): string => addressFromBytes(bytes.slice(at, at + size)).text;
      return {
        id: String(record.id),
        at: new Date(Number(wallNs / 1_000_000n)).toISOString(),
        ns: String(wallNs),
        verdict: verdicts[record.verdict]?.name ?? String(record.verdict),
        ...(family !== 0 && { client: address(source), vip: address(destination) }),
        ...(protocol >= 0 && { protocol: PROTOCOL_WORDS.get(protocol) ?? protocol }),
        ...(sourcePort >= 0 && { clientPort: sourcePort, port: destinationPort }),
        ...(service !== undefined && { service }),
        ...(pool !== undefined && { pool }),
        ...(backend !== undefined && { backend }),
        ...(record.slot !== UNKNOWN_SLOT && { slot: record.slot, hash: record.hash }),
        ...(record.key !== 0 && { key: record.key, alternates }),
        ...(record.generation !== 0 && { generation: record.generation }),
        inLength: record.inLength,
        outLength: record.outLength,
        cpu: record.cpu,
      };
    },
  };
}

/**
 * Ids are unique within a pool with its remembered states; a backend of another pool is better than a number.
 * @param all that have it
 */
function nameOfId(all: readonly NamedBackend[] | undefined, id: number, pool: string | undefined): string {
  return (all?.find((backend) => backend.pool === pool) ?? all?.[0])?.name ?? `id ${id}`;
}

const PROTOCOL_WORDS = new Map<number, string>([
  [P.PROTOCOL_TCP, 'tcp'],
  [P.PROTOCOL_UDP, 'udp'],
  [P.PROTOCOL_ICMP, 'icmp'],
  [P.PROTOCOL_ICMPV6, 'icmp6'],
  [47, 'gre'],
]);
/** In the order of tcpdump: F S R P . U */
const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [0x01, 'F'],
  [0x02, 'S'],
  [0x04, 'R'],
  [0x08, 'P'],
  [0x10, '.'],
  [0x20, 'U'],
];

/** `198.51.100.7:40000 > 203.0.113.10:80 tcp S` */
function packetWords(fields: PacketFields): string {
  const { bytes, family, source, destination, protocol, tcpFlags } = fields;
  if (family === 0) return 'a frame without IP,';
  const size = family === 6 ? 16 : 4;
  const end = (at: number, port: number): string => {
    const { text } = addressFromBytes(bytes.slice(at, at + size));
    if (port < 0) return text;
    return family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
  };
  const words = [end(source, fields.sourcePort), '>', end(destination, fields.destinationPort)];
  words.push(PROTOCOL_WORDS.get(protocol) ?? (protocol < 0 ? 'unknown' : `protocol ${protocol}`));
  if (protocol === P.PROTOCOL_TCP && fields.sourcePort >= 0)
    words.push(
      FLAG_LETTERS.filter(([bit]) => (tcpFlags & bit) !== 0)
        .map(([, letter]) => letter)
        .join('') || 'none',
    );
  return words.join(' ');
}

/** In this machine's time zone, with microseconds. */
function timeOfDay(wallNs: bigint): string {
  const at = new Date(Number(wallNs / 1_000_000n));
  const two = (value: number): string => String(value).padStart(2, '0');
  const microseconds = String((wallNs / 1000n) % 1_000_000n).padStart(6, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${microseconds}`;
}
