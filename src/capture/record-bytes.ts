/**
 * Records as bytes: struct anyhop_capture_record of native/include/anyhop/capture.h, which XDP programs and the TypeScript engines write alike,
 * and which a node's control socket passes on.
 *
 *   header | frame as it came in | up to a multiple of 8 | frame as it left
 */
import { AnyhopError, EXIT } from '../core/errors.js';
import { L } from '../core/layout.gen.js';
import { type CaptureRecord, SNAP_MAX } from './record.js';

export const RECORD_HEADER_BYTES = L.SIZEOF_CAPTURE_RECORD;

/** Of a whole record, a multiple of 8. */
export function recordBytes(inSnap: number, outSnap: number): number {
  return RECORD_HEADER_BYTES + padded(inSnap) + padded(outSnap);
}

/** Where the frame as it left stands in a record. */
export function outOffset(inSnap: number): number {
  return RECORD_HEADER_BYTES + padded(inSnap);
}

/** Everything of a record but its frames, whose bytes stand in their places already. */
export function writeRecordHeader(
  view: DataView,
  at: number,
  record: Omit<CaptureRecord, 'inBytes' | 'outBytes'> & { readonly inSnap: number; readonly outSnap: number },
): void {
  view.setUint32(at + L.CAPTURE_RECORD_BYTES, recordBytes(record.inSnap, record.outSnap), true);
  view.setBigUint64(at + L.CAPTURE_RECORD_ID, record.id, true);
  view.setBigUint64(at + L.CAPTURE_RECORD_TIME_NS, record.timeNs, true);
  view.setUint32(at + L.CAPTURE_RECORD_SLOT, record.slot, true);
  view.setUint32(at + L.CAPTURE_RECORD_HASH, record.hash, true);
  view.setUint32(at + L.CAPTURE_RECORD_KEY, record.key, true);
  view.setUint32(at + L.CAPTURE_RECORD_GENERATION, record.generation, true);
  view.setUint32(at + L.CAPTURE_RECORD_IN_LENGTH, record.inLength, true);
  view.setUint32(at + L.CAPTURE_RECORD_OUT_LENGTH, record.outLength, true);
  view.setUint16(at + L.CAPTURE_RECORD_IN_SNAP, record.inSnap, true);
  view.setUint16(at + L.CAPTURE_RECORD_OUT_SNAP, record.outSnap, true);
  view.setUint16(at + L.CAPTURE_RECORD_SERVICE, record.service, true);
  view.setUint16(at + L.CAPTURE_RECORD_BACKEND, record.backend, true);
  view.setUint16(at + L.CAPTURE_RECORD_CPU, record.cpu, true);
  view.setUint8(at + L.CAPTURE_RECORD_VERDICT, record.verdict);
}

/**
 * The records in these bytes, one behind the other, whose frames are views of them.
 * @throws AnyhopError ERR_CAPTURE_FILE when they are none: another version of anyhop may have written them
 */
export function readRecords(bytes: Uint8Array): CaptureRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: CaptureRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + RECORD_HEADER_BYTES > bytes.length) throw damaged();
    const length = view.getUint32(at + L.CAPTURE_RECORD_BYTES, true);
    const inSnap = view.getUint16(at + L.CAPTURE_RECORD_IN_SNAP, true);
    const outSnap = view.getUint16(at + L.CAPTURE_RECORD_OUT_SNAP, true);
    const out = at + outOffset(inSnap);
    if (Math.max(inSnap, outSnap) > SNAP_MAX || out + outSnap > at + length || at + length > bytes.length)
      throw damaged();
    records.push({
      id: view.getBigUint64(at + L.CAPTURE_RECORD_ID, true),
      timeNs: view.getBigUint64(at + L.CAPTURE_RECORD_TIME_NS, true),
      cpu: view.getUint16(at + L.CAPTURE_RECORD_CPU, true),
      verdict: view.getUint8(at + L.CAPTURE_RECORD_VERDICT),
      service: view.getUint16(at + L.CAPTURE_RECORD_SERVICE, true),
      backend: view.getUint16(at + L.CAPTURE_RECORD_BACKEND, true),
      slot: view.getUint32(at + L.CAPTURE_RECORD_SLOT, true),
      hash: view.getUint32(at + L.CAPTURE_RECORD_HASH, true),
      key: view.getUint32(at + L.CAPTURE_RECORD_KEY, true),
      generation: view.getUint32(at + L.CAPTURE_RECORD_GENERATION, true),
      inLength: view.getUint32(at + L.CAPTURE_RECORD_IN_LENGTH, true),
      inBytes: bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + inSnap),
      outLength: view.getUint32(at + L.CAPTURE_RECORD_OUT_LENGTH, true),
      outBytes: bytes.subarray(out, out + outSnap),
    });
    at += padded(length);
  }
  return records;
}

function padded(length: number): number {
  return (length + 7) & ~7;
}

function damaged(): AnyhopError {
  return new AnyhopError('ERR_CAPTURE_FILE', 'what comes is no record of a packet', {
    hint: 'The node or the program on the interface may be of another version of anyhop: `anyhop status` tells it.',
    exitCode: EXIT.failure,
  });
}
