/**
 * What a node decides by at one moment, as plain JSON and back: members of its pools with their weights, states and marks, what is
 * remembered of them, services. Whoever has the fleet's secret makes the same tables of it and so the same decisions; the secret
 * itself never leaves the node.
 */
import { z } from 'zod';
import type { Config, NodeConfig, PoolConfig, PriorBackendConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { keyFingerprint } from '../hash/key.js';
import { type IpAddress, type IpPrefix, parseAddress, parsePrefix } from '../packet/address.js';
import { type Assembly, assemble, fixedWay } from './assemble.js';

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
  /** Of the way to it; null while there is none. */
  mtu: z.int().nullable(),
};

const schema = z.object({
  node: z.string(),
  /** ISO 8601: the moment that all of this is of. */
  at: z.string(),
  /** Of the image in force. */
  generation: z.int(),
  /** Absolute path of the file that the node reads. */
  configFile: z.string(),
  keyFingerprint: z.string(),
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
      prior: z.array(z.object({ ...backend, health: z.enum(['up', 'down']) })).exactOptional(),
    }),
  ),
});

type Sent = z.input<typeof schema>;
type InForce = z.output<typeof schema>;
type SentPool = Sent['pools'][number];

/** Before it is sent: its lists are made as they are read, so that no turn of the event loop has to make all of them. */
export interface InForceReport extends Omit<Sent, 'services' | 'pools'> {
  readonly services: Iterable<Sent['services'][number]>;
  readonly pools: readonly (Omit<SentPool, 'backends' | 'prior'> & {
    readonly backends: Iterable<SentPool['backends'][number]>;
    readonly prior?: Iterable<NonNullable<SentPool['prior']>[number]>;
  })[];
}

/** Who decides, and when. */
export interface Moment {
  readonly node: string;
  readonly at: string;
  readonly generation: number;
  readonly configFile: string;
}

export function inForceReport(
  { pools, services, ways }: Assembly,
  { source4, source6, key }: NodeConfig,
  moment: Moment,
): InForceReport {
  const told = (member: PoolConfig['backends'][number] | PriorBackendConfig) => {
    const {
      name,
      address: { text },
      weight,
      state,
      agent,
    } = member;
    return { name, address: text, weight, state, agent, mtu: ways.get(member)?.mtu ?? null };
  };
  return {
    ...moment,
    keyFingerprint: keyFingerprint(key.reveal()),
    ...(source4 && { source4: source4.text }),
    ...(source6 && { source6: source6.text }),
    services: each(services, ({ vip, ...service }) => ({ ...service, vip: vip.text })),
    pools: pools.map(({ config: pool, state, tables }) => ({
      name: pool.name,
      slots: pool.tableSize,
      panicThreshold: pool.panicThreshold,
      owners: tables.ownersDigest,
      alternates: tables.alternatesDigest,
      backends: each(pool.backends, (member, i) => {
        const { health, drained } = state[i];
        return { ...told(member), health, ...(drained !== undefined && { drained }) };
      }),
      ...(pool.prior && {
        prior: each(pool.prior, (member) => ({ ...told(member), health: member.health })),
      }),
    })),
  };
}

/** What `make` makes of each, made anew whenever it is read. */
function each<T, R>(list: readonly T[], make: (one: T, index: number) => R): Iterable<R> {
  return {
    *[Symbol.iterator]() {
      for (const [index, one] of list.entries()) yield make(one, index);
    },
  };
}

/** Of one list, made in one turn of the event loop. */
const ENTRIES_PER_PART = 256;

/** As JSON, part by part. */
export function* inForceParts({ services, pools, ...rest }: InForceReport): Generator<string> {
  yield `${JSON.stringify(rest).slice(0, -1)},"services":`;
  yield* listParts(services);
  yield ',"pools":[';
  for (const [index, { backends, prior, ...pool }] of pools.entries()) {
    yield `${index === 0 ? '' : ','}${JSON.stringify(pool).slice(0, -1)},"backends":`;
    yield* listParts(backends);
    if (prior !== undefined) {
      yield ',"prior":';
      yield* listParts(prior);
    }
    yield '}';
  }
  yield ']}';
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

/**
 * What the node has in force, made again: the same tables, and so the same verdicts and backends.
 * @param node the secret is taken from it
 * @param mtu of all ways; those of the node when undefined
 * @throws AnyhopError ERR_USAGE for another secret than the node's, ERR_SOCKET for tables other than its own
 */
export function assembleInForce(
  inForce: InForce,
  node: NodeConfig,
  { from, file, mtu }: { readonly from: string; readonly file: string; readonly mtu?: number | undefined },
): Assembly {
  if (keyFingerprint(node.key.reveal()) !== inForce.keyFingerprint) {
    throw new AnyhopError(
      'ERR_USAGE',
      `the secret of ${file} is not the one that node ${inForce.node} forwards by`,
      {
        hint: `Name the file that the node reads (-c ${inForce.configFile}), or ask the file only (--no-socket).`,
      },
    );
  }
  const marks = new Map(inForce.pools.flatMap((pool) => pool.backends.map((each) => [each, each] as const)));
  const config: Config = {
    file,
    node,
    agent: undefined,
    services: inForce.services,
    pools: inForce.pools.map((pool) => ({
      ...NOT_OF_THE_TABLES,
      name: pool.name,
      tableSize: pool.slots,
      panicThreshold: pool.panicThreshold,
      backends: pool.backends,
      prior: pool.prior,
    })),
  };
  const { source4, source6 } = inForce;
  const assembly = assemble(
    config,
    { ...node, source4, source6 },
    {
      generation: inForce.generation,
      way: (member) => {
        const { mtu: own } = member as InForce['pools'][number]['backends'][number];
        return own === null ? undefined : fixedWay(mtu ?? own)(member);
      },
      health: (_, member) => marks.get(member as never)!.health,
      drained: (_, member) => marks.get(member as never)!.drained === true,
    },
  );
  for (const [i, { tables }] of assembly.pools.entries()) {
    const { name, owners, alternates } = inForce.pools[i];
    if (tables.ownersDigest !== owners || tables.alternatesDigest !== alternates)
      throw misunderstood(from, `pool ${name} makes other tables here than there`);
  }
  return assembly;
}

/** What a pool has besides, and no table comes from. */
const NOT_OF_THE_TABLES = {
  health: undefined,
  deadAfterMs: 0,
  settleMs: 0,
  drainDeadlineMs: 0,
} satisfies Partial<PoolConfig>;

function misunderstood(from: string, why: string): AnyhopError {
  return new AnyhopError('ERR_SOCKET', `what ${from} has in force is not understood: ${why}`, {
    exitCode: EXIT.failure,
    hint: 'Another version runs there; restart the node, or ask the file only (--no-socket).',
  });
}
