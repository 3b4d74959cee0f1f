/**
 * What a node decides by at one moment, as it travels: members of its pools with their weights, states and marks, what is remembered
 * of them, services. Whoever has the fleet's secret makes the same tables from it and so the same decisions; the secret itself never
 * leaves the node.
 */
import * as z from 'zod';
import { AnyhopError, EXIT } from '../core/errors.js';
import { L } from '../core/layout.gen.js';
import { BACKEND_ID_MAX } from '../core/limits.js';
import { type IpAddress, type IpPrefix, parseAddress, parsePrefix } from '../packet/address.js';

const address = z.string().transform((text, context): IpAddress => {
  const parsed = parseAddress(text);
  if (parsed === undefined) context.addIssue('no IP address');
  return parsed!;
});
const prefix = z.string().transform((text, context): IpPrefix => {
  const parsed = parsePrefix(text);
  if (parsed === undefined) context.addIssue('no IP prefix');
  return parsed!;
});
const backend = {
  name: z.string(),
  address,
  weight: z.int(),
  state: z.enum(['active', 'draining']),
  agent: z.boolean(),
  id: z.int().min(0).max(BACKEND_ID_MAX),
  /** Of the way to it; null while there is none. */
  mtu: z.int().nullable(),
};

const formerBackend = z.object({
  ...backend,
  health: z.enum(['up', 'down']),
  unreachable: z.literal(true).exactOptional(),
});

const schema = z.object({
  node: z.string(),
  /** ISO 8601: the moment that all of this is of. */
  at: z.string(),
  /** Of the image in force. */
  generation: z.int(),
  /** Absolute path of the file that the node reads. */
  configFile: z.string(),
  keyFingerprint: z.string(),
  flowHashVersion: z.literal(L.FLOW_HASH_VERSION),
  source4: prefix.exactOptional(),
  source6: prefix.exactOptional(),
  services: z.array(
    z.object({
      name: z.string(),
      vip: address,
      protocol: z.enum(['tcp', 'udp']),
      portFirst: z.int(),
      portLast: z.int(),
      pool: z.string(),
      hash: z.enum(['5-tuple', '3-tuple', 'source']),
      secondChance: z.boolean(),
    }),
  ),
  pools: z.array(
    z.object({
      name: z.string(),
      slots: z.int(),
      panicThreshold: z.number(),
      /** Of the tables that these make: whoever makes others has misunderstood something. */
      owners: z.string(),
      alternates: z.string(),
      backends: z.array(
        z.object({
          ...backend,
          health: z.enum(['up', 'down', 'dead']),
          drained: z.boolean().exactOptional(),
        }),
      ),
      /** The newest first. */
      remembered: z.array(z.array(formerBackend)),
      /** While the flow hash key changes: the fingerprint of the one before, and the states that its connections may be from. */
      formerKey: z.string().exactOptional(),
      underFormerKey: z.array(z.array(formerBackend)).exactOptional(),
    }),
  ),
});

type PoolInForce = InForce['pools'][number];

/** The present state of a pool. No packet gets to a member that no path leads to: the table passes it by. */
export function presentState({
  backends,
}: PoolInForce): (PoolInForce['backends'][number] & { readonly unreachable?: true })[] {
  return backends.map((member) => ({ ...member, ...(member.mtu === null && { unreachable: true }) }));
}

type Sent = z.input<typeof schema>;
export type InForce = z.output<typeof schema>;
type SentPool = Sent['pools'][number];

/** Before it is sent: its lists are made as they are read, so that no turn of the event loop has to make all of them. */
export interface InForceReport extends Omit<Sent, 'services' | 'pools'> {
  readonly services: Iterable<Sent['services'][number]>;
  readonly pools: readonly (Omit<SentPool, 'backends' | 'remembered' | 'underFormerKey'> & {
    readonly backends: Iterable<SentPool['backends'][number]>;
    readonly remembered: readonly SentState[];
    readonly underFormerKey?: readonly SentState[];
  })[];
}

type SentState = Iterable<SentPool['remembered'][number][number]>;

/** Who decides, and when. */
export interface Moment {
  readonly node: string;
  readonly at: string;
  readonly generation: number;
  readonly configFile: string;
}

/** Of one list, made in one turn of the event loop. */
const ENTRIES_PER_PART = 256;

/** As JSON, part by part. */
export function* inForceParts({ services, pools, ...rest }: InForceReport): Generator<string> {
  yield `${JSON.stringify(rest).slice(0, -1)},"services":`;
  yield* listParts(services);
  yield ',"pools":[';
  for (const [index, { backends, remembered, underFormerKey, ...pool }] of pools.entries()) {
    yield `${index === 0 ? '' : ','}${JSON.stringify(pool).slice(0, -1)},"backends":`;
    yield* listParts(backends);
    yield ',"remembered":';
    yield* stateParts(remembered);
    if (underFormerKey !== undefined) {
      yield ',"underFormerKey":';
      yield* stateParts(underFormerKey);
    }
    yield '}';
  }
  yield ']}';
}

function* stateParts(states: readonly SentState[]): Generator<string> {
  yield '[';
  for (const [age, state] of states.entries()) {
    if (age > 0) yield ',';
    yield* listParts(state);
  }
  yield ']';
}

function* listParts(list: Iterable<object>): Generator<string> {
  let part = '[';
  let count = 0;
  for (const entry of list) {
    if (count > 0 && count % ENTRIES_PER_PART === 0) {
      yield part;
      part = '';
    }
    part += `${count === 0 ? '' : ','}${JSON.stringify(entry)}`;
    count++;
  }
  yield `${part}]`;
}

/** @throws AnyhopError ERR_SOCKET when it is none */
export function readInForce(value: unknown, from: string): InForce {
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const [{ path, message }] = error.issues;
  throw misunderstood(from, `${path.join('.')}: ${message}`);
}

export function misunderstood(from: string, why: string): AnyhopError {
  return new AnyhopError('ERR_SOCKET', `what ${from} has in force is not understood: ${why}`, {
    exitCode: EXIT.failure,
    hint: 'Another version runs there; restart the node, or ask the file only (--no-socket).',
  });
}
