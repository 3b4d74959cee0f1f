/** Whether a packet passes a CaptureFilter: what the TypeScript engines ask for each packet that they might record. */
import type { PacketFields } from './fields.js';
import type { CaptureFilter } from './record.js';

/** Verdict numbers are below this. */
const VERDICTS_MAX = 256;

export class FilterMatch {
  readonly sample: number;
  readonly snapLength: number;
  readonly #filter: CaptureFilter;
  /** By verdict: 1 to record. */
  readonly #verdicts = new Uint8Array(VERDICTS_MAX);

  constructor(filter: CaptureFilter) {
    this.sample = filter.sample;
    this.snapLength = filter.snapLength;
    this.#filter = filter;
    if (filter.verdicts === undefined) this.#verdicts.fill(1);
    for (const verdict of filter.verdicts ?? []) this.#verdicts[verdict] = 1;
  }

  wantsVerdict(verdict: number): boolean {
    return this.#verdicts[verdict] === 1;
  }

  /** Of a packet whose verdict is wanted. @param backend counter number, or UNKNOWN */
  wants(fields: PacketFields, backend: number): boolean {
    const { vip, client, clientPort, servicePort, protocol, backend: wanted } = this.#filter;
    if (wanted !== undefined && backend !== wanted) return false;
    if (protocol !== undefined && fields.protocol !== protocol) return false;
    if (clientPort !== undefined && fields.sourcePort !== clientPort) return false;
    if (servicePort !== undefined && fields.destinationPort !== servicePort) return false;
    if (vip !== undefined) {
      if (fields.family !== vip.family) return false;
      if (!agrees(fields.bytes, fields.destination, vip.bytes, vip.bytes.length * 8)) return false;
    }
    if (client === undefined) return true;
    if (fields.family !== client.address.family) return false;
    return agrees(fields.bytes, fields.source, client.address.bytes, client.bits);
  }
}

/** Whether the first bits of an address within `bytes` are those of another. */
export function agrees(bytes: Uint8Array, at: number, address: Uint8Array, bits: number): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== address[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((bytes[at + whole] ^ address[whole]) & (0xff00 >> rest) & 0xff) === 0;
}
