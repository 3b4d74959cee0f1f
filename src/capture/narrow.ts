/**
 * What must hold whenever an expression does, in terms that a source can check for each packet: the part of a CaptureFilter that an expression
 * implies. Too little is slow, and too much loses packets: each function here may forget, and never invents.
 */
import type { IpAddress } from '../packet/address.js';
import { addressFromBytes } from '../packet/address.js';
import type { CaptureFilter } from './record.js';

export type Narrow = Omit<CaptureFilter, 'sample' | 'snapLength'>;

/** Both hold. Where they name different values nothing can match; either of them is true enough then. */
export function both(a: Narrow, b: Narrow): Narrow {
  const verdicts =
    a.verdicts && b.verdicts
      ? a.verdicts.filter((each) => b.verdicts!.includes(each))
      : (a.verdicts ?? b.verdicts);
  const client = (a.client?.bits ?? -1) >= (b.client?.bits ?? -1) ? a.client : b.client;
  return { ...b, ...a, ...(verdicts && { verdicts }), ...(client && { client }) };
}

/** One of them holds. */
export function either(a: Narrow, b: Narrow): Narrow {
  const vip = a.vip?.text === b.vip?.text ? a.vip : undefined;
  const client = a.client && b.client && common(a.client, b.client);
  const verdicts =
    a.verdicts && b.verdicts && [...new Set([...a.verdicts, ...b.verdicts])].sort((x, y) => x - y);
  const same = <K extends 'clientPort' | 'servicePort' | 'protocol' | 'backend'>(key: K): Narrow =>
    a[key] !== undefined && a[key] === b[key] ? { [key]: a[key] } : {};
  return {
    ...(vip && { vip }),
    ...(client && { client }),
    ...(verdicts && { verdicts }),
    ...same('clientPort'),
    ...same('servicePort'),
    ...same('protocol'),
    ...same('backend'),
  };
}

type Client = NonNullable<Narrow['client']>;

/** The longest prefix that has both; undefined for two families, and for none. */
function common(a: Client, b: Client): Client | undefined {
  if (a.address.family !== b.address.family) return undefined;
  let bits = Math.min(a.bits, b.bits);
  const bit = (address: IpAddress, i: number): number => (address.bytes[i >> 3] >> (7 - (i & 7))) & 1;
  for (let i = 0; i < bits; i++) if (bit(a.address, i) !== bit(b.address, i)) bits = i;
  if (bits === 0) return undefined;
  const bytes = Uint8Array.from(
    a.address.bytes,
    (byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))),
  );
  return { address: addressFromBytes(bytes), bits };
}
