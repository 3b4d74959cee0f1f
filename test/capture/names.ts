/** A node's names for tests of captures, and a record of a packet. */
import { type CaptureNames, type CaptureRecord, UNKNOWN, UNKNOWN_SLOT } from '#anyhop/capture/record.js';
import { L } from '#anyhop/core/layout.gen.js';

export const NAMES: CaptureNames = {
  generation: 7,
  services: [
    {
      name: 'web',
      number: 0,
      vip: '203.0.113.10',
      protocol: 'tcp',
      portFirst: 80,
      portLast: 80,
      pool: 'web',
    },
    {
      name: 'web6',
      number: 1,
      vip: '2001:db8::10',
      protocol: 'tcp',
      portFirst: 80,
      portLast: 80,
      pool: 'web',
    },
    {
      name: 'dns',
      number: 2,
      vip: '203.0.113.53',
      protocol: 'udp',
      portFirst: 53,
      portLast: 63,
      pool: 'dns',
    },
  ],
  backends: [
    { pool: 'web', name: 'web-1', number: 0, id: 11 },
    { pool: 'web', name: 'web-2', number: 1, id: 12 },
    { pool: 'dns', name: 'ns-1', number: 2, id: 21 },
    { pool: 'dns', name: 'web-1', number: 3, id: 11 },
  ],
};

export function recordOf(frame: Uint8Array, more: Partial<CaptureRecord> = {}): CaptureRecord {
  return {
    id: 1n,
    timeNs: 1_000_000_000n,
    cpu: 0,
    verdict: L.V_DROP_NO_SERVICE,
    service: UNKNOWN,
    backend: UNKNOWN,
    slot: UNKNOWN_SLOT,
    hash: 0,
    key: 0,
    generation: 7,
    inLength: frame.length,
    inBytes: frame,
    outLength: 0,
    outBytes: new Uint8Array(0),
    ...more,
  };
}
