/** A filter as an XDP program reads it: struct anyhop_capture_filter of native/include/anyhop/capture.h. */
import { L } from '../core/layout.gen.js';
import type { CaptureFilter } from './record.js';

const ADDRESS_BYTES = 16;
const VERDICTS_MAX = 256;

/** @param testRuns whether packets of BPF_PROG_TEST_RUN are recorded too */
export function filterBytes(filter: CaptureFilter, testRuns = false): Buffer {
  const { vip, client, clientPort, servicePort, protocol, backend, verdicts } = filter;
  const bytes = Buffer.alloc(L.SIZEOF_CAPTURE_FILTER);
  let terms = testRuns ? L.CAPTURE_TEST_RUNS : 0;
  bytes.writeUInt32LE(filter.sample, L.CAPTURE_FILTER_SAMPLE);
  bytes.writeUInt32LE(filter.snapLength, L.CAPTURE_FILTER_SNAP_LENGTH);
  if (vip !== undefined) {
    terms |= L.CAPTURE_VIP;
    bytes.writeUInt8(vip.family, L.CAPTURE_FILTER_VIP_FAMILY);
    bytes.set(vip.bytes, L.CAPTURE_FILTER_VIP);
  }
  if (client !== undefined) {
    terms |= L.CAPTURE_CLIENT;
    bytes.writeUInt8(client.address.family, L.CAPTURE_FILTER_CLIENT_FAMILY);
    bytes.set(client.address.bytes, L.CAPTURE_FILTER_CLIENT);
    bytes.set(maskBytes(client.bits), L.CAPTURE_FILTER_CLIENT_MASK);
  }
  if (clientPort !== undefined) {
    terms |= L.CAPTURE_CLIENT_PORT;
    bytes.writeUInt16LE(clientPort, L.CAPTURE_FILTER_CLIENT_PORT);
  }
  if (servicePort !== undefined) {
    terms |= L.CAPTURE_SERVICE_PORT;
    bytes.writeUInt16LE(servicePort, L.CAPTURE_FILTER_SERVICE_PORT);
  }
  if (protocol !== undefined) {
    terms |= L.CAPTURE_PROTOCOL;
    bytes.writeUInt8(protocol, L.CAPTURE_FILTER_PROTOCOL);
  }
  if (backend !== undefined) {
    terms |= L.CAPTURE_BACKEND;
    bytes.writeUInt16LE(backend, L.CAPTURE_FILTER_BACKEND);
  }
  bytes.writeUInt32LE(terms, L.CAPTURE_FILTER_TERMS);
  for (const verdict of verdicts ?? Array(VERDICTS_MAX).keys()) {
    bytes[L.CAPTURE_FILTER_VERDICTS + (verdict >> 3)] |= 1 << (verdict & 7);
  }
  return bytes;
}

/** The first `bits` bits. */
function maskBytes(bits: number): Uint8Array {
  return Uint8Array.from({ length: ADDRESS_BYTES }, (_, i) => {
    const ones = Math.min(8, Math.max(0, bits - 8 * i));
    return 0xff & (0xff00 >> ones);
  });
}
