/**
 * How packets are captured over the control socket, where an engine records them in the node's process. `GET /capture` says what can be captured and what
 * numbers in records mean; `POST /capture` begins to record and answers with a stream of frames until the client goes, which ends it:
 *
 *   | kind (4 bytes) | length (4 bytes) | as many bytes |      little endian
 *
 *   names     JSON, CaptureNames: first of all, and whenever another image is in force
 *   records   struct anyhop_capture_record, one behind the other (capture/record-bytes.ts)
 *   lost      JSON, {"lost": n}: at least once a second, so that each side knows that the other lives
 */
import * as z from 'zod';
import { verdictsOf } from '../capture/compile.js';
import { type CaptureFilter, type CaptureNames, SNAP_MAX, SNAP_MIN } from '../capture/record.js';
import { integer, parsed, text } from '../config/fields.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { parseAddress, parsePrefix } from '../packet/address.js';
import { ControlError } from './api.js';

export const FRAME = { names: 1, records: 2, lost: 3 } as const;
export const FRAME_HEADER_BYTES = 8;
/** The names of a node with 65,535 backends have some 8 MB. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

export interface CaptureReport {
  readonly node: string;
  readonly interface: string;
  readonly engine: string;
  /** Where the engine's pins are, for an engine that records into them; absent for one that records in the node's process. */
  readonly bpffs?: string;
  readonly names: CaptureNames;
}

/** A CaptureFilter in names; all fields of it may be left out. */
export const CAPTURE_FIELDS = {
  vip: parsed('an address', parseAddress).optional().describe('Destination.'),
  client: parsed('an address or a prefix', parsePrefix).optional().describe('Source.'),
  client_port: integer('a port, 0 to 65535', 0, 65535).optional().describe('Source port.'),
  service_port: integer('a port, 0 to 65535', 0, 65535).optional().describe('Destination port.'),
  protocol: integer('an IP protocol, 0 to 255', 0, 255).optional().describe('IP protocol number.'),
  backend: text('POOL/NAME', /^[^/]{1,64}\/[^/]{1,64}$/)
    .optional()
    .describe('The backend that the packet goes to, as POOL/NAME.'),
  verdicts: z
    .array(z.string({ error: 'names of verdicts' }), { error: 'names of verdicts' })
    .max(64, { error: 'at most 64 names of verdicts' })
    .optional()
    .describe('Names of verdicts; all when left out.'),
  sample: integer('a whole number, 1 to 1000000000', 1, 1_000_000_000)
    .default(1)
    .describe('Look at one packet of so many.'),
  snap_length: integer(`bytes, ${SNAP_MIN} to ${SNAP_MAX}`, SNAP_MIN, SNAP_MAX)
    .default(256)
    .describe('First bytes of each packet to keep.'),
};
const fields = z.strictObject(CAPTURE_FIELDS);
/** As they were checked. */
export type CaptureFields = z.output<typeof fields>;

/** @throws ControlError 400 for a verdict, 404 for a backend that is not there */
export function filterOf(
  { vip, client, client_port, service_port, protocol, backend, verdicts, sample, snap_length }: CaptureFields,
  names: CaptureNames,
): CaptureFilter {
  const number =
    backend === undefined
      ? undefined
      : names.backends.find(({ pool, name }) => `${pool}/${name}` === backend)?.number;
  if (backend !== undefined && number === undefined)
    throw new ControlError(404, 'ERR_NOT_FOUND', 'the body: backend is none of this node');
  const known = verdictsOf('forwarder').map(({ name }) => name);
  const numbers = verdicts?.map((name) => known.indexOf(name));
  if (numbers?.includes(-1))
    throw new ControlError(400, 'ERR_REQUEST', 'the body: verdicts has an unknown one');
  return {
    ...(vip && { vip }),
    ...(client && { client: { address: client.address, bits: client.length } }),
    ...(client_port !== undefined && { clientPort: client_port }),
    ...(service_port !== undefined && { servicePort: service_port }),
    ...(protocol !== undefined && { protocol }),
    ...(number !== undefined && { backend: number }),
    ...(numbers && { verdicts: numbers }),
    sample,
    snapLength: snap_length,
  };
}

/** The opposite: what a client sends. */
export function fieldsOf(filter: CaptureFilter, names: CaptureNames): z.input<typeof fields> {
  const { vip, client, clientPort, servicePort, protocol, backend, verdicts, sample, snapLength } = filter;
  const named = names.backends.find(({ number }) => number === backend);
  const known = verdictsOf('forwarder');
  return {
    ...(vip && { vip: vip.text }),
    ...(client && { client: `${client.address.text}/${client.bits}` }),
    ...(clientPort !== undefined && { client_port: clientPort }),
    ...(servicePort !== undefined && { service_port: servicePort }),
    ...(protocol !== undefined && { protocol }),
    ...(named && { backend: `${named.pool}/${named.name}` }),
    ...(verdicts && { verdicts: verdicts.map((verdict) => known[verdict].name) }),
    sample,
    snap_length: snapLength,
  };
}

export function frameHeader(kind: number, length: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE(length, 4);
  return header;
}

const number = z.int().min(0).max(0xffff);
const name = z.string().max(256);
const namesSchema = z.object({
  generation: z.int().min(0),
  services: z.array(
    z.object({
      name,
      number,
      vip: z.string().refine((text) => parseAddress(text) !== undefined),
      protocol: z.enum(['tcp', 'udp']),
      portFirst: number,
      portLast: number,
      pool: name,
    }),
  ),
  backends: z.array(z.object({ pool: name, name, number, id: number })),
});
const reportSchema = z.object({
  node: name,
  interface: name,
  engine: name,
  bpffs: z.string().max(4096).optional(),
  names: namesSchema,
});

/** What a node sent. @throws AnyhopError ERR_SOCKET when it is none */
export function readCaptureReport(value: unknown, from: string): CaptureReport {
  const { data } = reportSchema.safeParse(value);
  if (data === undefined) throw noCapture(from);
  const { bpffs, ...report } = data;
  return bpffs === undefined ? report : { ...report, bpffs };
}

/** @throws as readCaptureReport */
export function readCaptureNames(value: unknown, from: string): CaptureNames {
  const { data } = namesSchema.safeParse(value);
  if (data === undefined) throw noCapture(from);
  return data;
}

export function noCapture(from: string): AnyhopError {
  return new AnyhopError('ERR_SOCKET', `${from} sends what is no capture`, {
    hint: 'Another version of anyhop, or another program, may be running there.',
    exitCode: EXIT.failure,
  });
}
