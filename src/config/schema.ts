/**
 * The shape of the config file, field by field: types, ranges, defaults, and a sentence on each. Published as JSON
 * Schema by `anyhop schema` and enforced by the loader. The `error` of a field is the "expected ..." half of its
 * message. What takes two fields to judge is under rules/.
 */
import { z } from 'zod';
import {
  AGENT_REPORT_PORT_DEFAULT,
  BACKENDS_PER_POOL_MAX,
  BPFFS_DEFAULT,
  BUSY_POLL_US_DEFAULT,
  BUSY_POLL_US_MAX,
  DEAD_AFTER_MS_DEFAULT,
  DEAD_AFTER_MS_MAX,
  DEAD_AFTER_MS_MIN,
  DRAIN_DEADLINE_MS_DEFAULT,
  DRAIN_DEADLINE_MS_MAX,
  DRAIN_DEADLINE_MS_MIN,
  INTERFACE_CHARS_MAX,
  KEY_HEX_DIGITS_MAX,
  KEY_HEX_DIGITS_MIN,
  NAME_CHARS_MAX,
  POOLS_MAX,
  SERVICES_MAX,
  SETTLE_MS_DEFAULT,
  SETTLE_MS_MAX,
  SETTLE_MS_MIN,
  SOCKET_PATH_BYTES_MAX,
  STATE_DIRECTORY_DEFAULT,
  STOP_DELAY_MS_MAX,
  TABLE_SIZE_DEFAULT,
  TABLE_SIZE_MAX,
  TABLE_SIZE_MIN,
  WEIGHT_MAX,
} from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import { parseAddress, parsePrefix } from '../packet/address.js';
import { choice, duration, integer, named, onOff, parsed, ports, text } from './fields.js';
import { health } from './health-schema.js';
import { ENGINE_CHOICES } from './types.js';

/** Names of nodes, pools, services and backends. */
export const NAME_PATTERN = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${NAME_CHARS_MAX - 1}}$`);
export const NAME_EXPECTED =
  `a name: letters, digits, ".", "_" and "-", the first one a letter or digit, ` +
  `${NAME_CHARS_MAX} characters at most`;

/** What the kernel takes (dev_valid_name), less what would only be a slip. */
export const INTERFACE_PATTERN = new RegExp(`^(?!-|\\.{1,2}$)[A-Za-z0-9._@-]{1,${INTERFACE_CHARS_MAX}}$`);
export const INTERFACE_EXPECTED = `the name of a network interface, ${INTERFACE_CHARS_MAX} characters at most`;
const PREFIX_EXPECTED =
  'an IPv4 or IPv6 address, or a prefix "address/length" with no bit set behind its length';
export const KEY_PATTERN = new RegExp(
  `^([0-9A-Fa-f]{2}){${KEY_HEX_DIGITS_MIN / 2},${KEY_HEX_DIGITS_MAX / 2}}$`,
);
export const KEY_EXPECTED =
  `an even number of hexadecimal digits, ${KEY_HEX_DIGITS_MIN} to ` + `${KEY_HEX_DIGITS_MAX}`;
const ADDRESS_EXPECTED = 'an IPv4 or IPv6 address';

export const name = text(NAME_EXPECTED, NAME_PATTERN);
export const networkInterface = text(INTERFACE_EXPECTED, INTERFACE_PATTERN);
const address = parsed(ADDRESS_EXPECTED, parseAddress).meta({
  anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }],
  pattern: '^[0-9A-Fa-f:.]+$',
});
export const prefix = parsed(PREFIX_EXPECTED, parsePrefix).meta({
  pattern: '^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$',
});

export const PATH_PATTERN = /^\/[ -~]*$/;
export const path = text('an absolute path', PATH_PATTERN);

export const node = z
  .strictObject(
    {
      name: name.optional().describe('Name of this forwarder; the name of the host when left out.'),
      interface: networkInterface
        .optional()
        .describe('Interface that packets for the VIPs come in by and GRE goes out by.'),
      engine: choice(ENGINE_CHOICES)
        .default('auto')
        .describe('What moves packets; auto picks the fastest that the interface and the kernel take.'),
      source: named(
        'sources',
        z
          .union(
            [
              prefix,
              z
                .array(prefix, { error: PREFIX_EXPECTED })
                .min(1, { error: 'an IPv4 entry, an IPv6 entry, or both' })
                .meta({ maxItems: 2 }),
            ],
            {
              error: `${PREFIX_EXPECTED}, or a list of one IPv4 and one IPv6 entry`,
            },
          )
          .optional()
          .describe(
            'Outer source addresses of GRE packets, one IPv4 and/or one IPv6; an IPv4 prefix, which must belong to nobody, spreads flows over its addresses.',
          ),
      ),
      key_file: z
        .string({ error: 'the path of a file' })
        .min(1, { error: 'the path of a file' })
        .optional()
        .describe(
          'File that holds the secret of the fleet in hexadecimal digits; relative to the config file. This or key.',
        ),
      key: text(KEY_EXPECTED, KEY_PATTERN)
        .optional()
        .describe('The secret of the fleet itself, in hexadecimal digits. This or key_file.'),
      second_chance_prefix: parsed(
        'an IPv6 prefix of length 96, "2001:db8::/96"',
        (text) => {
          const prefix = parsePrefix(text);
          return prefix?.address.family === 6 ? prefix : undefined;
        },
        /^[0-9A-Fa-f:.]+\/96$/,
      )
        .optional()
        .describe('The /96 under which IPv6 backends lie, so that 32 bits of a GRE key name one of them.'),
      busy_poll_us: integer(`a whole number of microseconds, 0 to ${BUSY_POLL_US_MAX}`, 0, BUSY_POLL_US_MAX)
        .default(BUSY_POLL_US_DEFAULT)
        .describe(
          'How long an idle worker of the engine af_xdp polls before it sleeps: more costs processor time, less costs latency.',
        ),
      bpffs: path
        .default(BPFFS_DEFAULT)
        .describe(
          'Where the BPF file system is: the engine xdp pins its program and maps there, and so outlives its process.',
        ),
      socket: text(
        `an absolute path, ${SOCKET_PATH_BYTES_MAX} bytes at most`,
        new RegExp(`^/[!-~]{0,${SOCKET_PATH_BYTES_MAX - 1}}$`),
      )
        .optional()
        .describe('The control socket; /run/anyhop/NAME.sock when left out, NAME being that of the node.'),
      state_dir: named(
        'stateDirectory',
        path
          .default(STATE_DIRECTORY_DEFAULT)
          .describe(
            'Directory for what the node remembers over a restart: prior states, waiting changes, overrides.',
          ),
      ),
      local_vips: z
        .boolean({ error: 'true or false' })
        .default(false)
        .describe(
          'Whether VIPs may be addresses of this host, as on the active one of a pair that keepalived moves them between; refused otherwise.',
        ),
      stop_delay: named(
        'stopDelayMs',
        duration(0, STOP_DELAY_MS_MAX)
          .prefault('0s')
          .describe('How long a node that is told to stop forwards on after it said that it is not ready.'),
      ),
    },
    { error: 'a mapping with this node: interface, source, key_file, ...' },
  )
  .meta({ not: { required: ['key', 'key_file'] } })
  .describe('This forwarder.');

const backendFields = {
  name: name.describe(
    'Stable name of the server; it decides which slots are its own. Unique within the list.',
  ),
  address: address.describe('Underlay address that GRE packets are sent to.'),
  weight: integer(`a whole number, 0 to ${WEIGHT_MAX}`, 0, WEIGHT_MAX)
    .default(1)
    .describe('Share of new flows, relative to the other backends of the pool; 0 for none.'),
  state: choice(['active', 'draining'])
    .default('active')
    .describe('draining takes no new flows and stays a candidate for those that it has.'),
  agent: z
    .boolean({ error: 'true or false' })
    .default(true)
    .describe('Whether the server runs `anyhop agent`; false for a plain kernel GRE tunnel.'),
};

const BACKEND_EXPECTED = 'a mapping {name: ..., address: ...}';
const BACKENDS_EXPECTED = 'a list of backends, at least one: - {name: ..., address: ...}';
export const backend = z.strictObject(backendFields, { error: BACKEND_EXPECTED });
export const priorBackend = z.strictObject(
  {
    ...backendFields,
    health: choice(['up', 'down']).default('up').describe('Health mark of the member in the prior state.'),
  },
  { error: BACKEND_EXPECTED },
);

export const pool = z.strictObject(
  {
    table_size: integer(
      `a prime number, ${TABLE_SIZE_MIN} to ${TABLE_SIZE_MAX}`,
      TABLE_SIZE_MIN,
      TABLE_SIZE_MAX,
    )
      .default(TABLE_SIZE_DEFAULT)
      .describe('Slots of the lookup table, M: a prime, and 100 times the number of backends or more.'),
    panic_threshold: z
      .number({ error: 'a number, 0 to 1' })
      .min(0, { error: 'a number, 0 to 1' })
      .max(1, { error: 'a number, 0 to 1' })
      .default(0)
      .describe('Share of the active backends below which, when fewer are up, all count as up; 0 for never.'),
    health: health
      .optional()
      .describe('How the backends are checked; left out, a backend is up when the kernel knows a way to it.'),
    dead_after: named(
      'deadAfterMs',
      duration(DEAD_AFTER_MS_MIN, DEAD_AFTER_MS_MAX)
        .prefault(formatDuration(DEAD_AFTER_MS_DEFAULT))
        .describe('A backend that has been down for longer is no candidate for older connections any more.'),
    ),
    settle_time: named(
      'settleMs',
      duration(SETTLE_MS_MIN, SETTLE_MS_MAX)
        .prefault(formatDuration(SETTLE_MS_DEFAULT))
        .describe(
          'How long a change is remembered, and the next planned one waits: longer than connections live.',
        ),
    ),
    drain_deadline: named(
      'drainDeadlineMs',
      duration(DRAIN_DEADLINE_MS_MIN, DRAIN_DEADLINE_MS_MAX)
        .prefault(formatDuration(DRAIN_DEADLINE_MS_DEFAULT))
        .describe('After so long a drain counts as done, whatever connections are left.'),
    ),
    backends: z
      .array(backend, { error: BACKENDS_EXPECTED })
      .min(1, { error: BACKENDS_EXPECTED })
      .meta({ maxItems: BACKENDS_PER_POOL_MAX })
      .describe('The servers of the pool.'),
    prior: z
      .array(priorBackend, { error: BACKENDS_EXPECTED })
      .min(1, { error: BACKENDS_EXPECTED })
      .meta({ maxItems: BACKENDS_PER_POOL_MAX })
      .optional()
      .describe(
        'The last pool state that had rested, when it is to be fixed here and not remembered by the node.',
      ),
  },
  { error: 'a mapping {backends: [...]}' },
);

export const service = z.strictObject(
  {
    name: name.describe('Name of the service, in logs and metrics.'),
    vip: address.describe('Virtual address that clients connect to.'),
    protocol: choice(['tcp', 'udp']).describe('Transport protocol.'),
    port: named(
      'ports',
      ports().describe('Port, or a range of ports in quotes, "8000-8999", both included.'),
    ),
    pool: z.string({ error: 'the name of a pool' }).describe('Name of the pool that serves it.'),
    hash: choice(['5-tuple', '3-tuple', 'source'])
      .default('5-tuple')
      .describe('What of a packet chooses the slot; source keeps a client on one backend.'),
    second_chance: onOff()
      .prefault('off')
      .describe('on (TCP only): a backend without the connection passes the packet on to the alternate.'),
  },
  { error: 'a mapping {name: ..., vip: ..., protocol: ..., port: ..., pool: ...}' },
);

export const agent = z
  .strictObject(
    {
      interface: networkInterface.optional().describe('Interface that GRE packets come in by.'),
      forwarders: z
        .array(prefix, { error: 'a list of addresses or prefixes, at least one' })
        .min(1, { error: 'a list of addresses or prefixes, at least one' })
        .describe('Addresses or prefixes of the forwarders; GRE from anyone else is dropped.'),
      bpffs: path
        .default(BPFFS_DEFAULT)
        .describe(
          'Where the BPF file system is: agents pin their programs and counters there, and so outlive their processes.',
        ),
      report_port: integer('a port, 1 to 65535', 1, 65535)
        .default(AGENT_REPORT_PORT_DEFAULT)
        .describe(
          'TCP port on which agents tell forwarders and each other of their connections and counters.',
        ),
      vip_elsewhere: z
        .boolean({ error: 'true or false' })
        .default(false)
        .describe(
          'Whether agents also pass on packets for VIPs that their host does not have, for its DNAT rules or routes; otherwise these are dropped.',
        ),
    },
    { error: 'a mapping {forwarders: [...]}' },
  )
  .describe('The backend side, read by `anyhop agent`.');

/**
 * The whole file. Which sections must be there depends on who reads it, so only `pools` is required here. The counts
 * and the names of pools are rules, not shape, so that what is below them is checked even when they are wrong; the
 * published schema says them all the same.
 */
export const configSchema = z
  .strictObject(
    {
      node: node.optional(),
      pools: z
        .record(z.string(), pool, { error: 'a mapping of pools by name' })
        .meta({ minProperties: 1, maxProperties: POOLS_MAX, propertyNames: { pattern: NAME_PATTERN.source } })
        .describe('Sets of backends, by name.'),
      services: z
        .array(service, { error: 'a list of services' })
        .meta({ maxItems: SERVICES_MAX })
        .optional()
        .describe('What is forwarded: VIP, protocol and port, each to a pool.'),
      agent: agent.optional(),
    },
    { error: 'a mapping with node, pools and services' },
  )
  .meta({
    $id: 'urn:anyhop:config:1',
    title: 'anyhop configuration',
    description: 'The one file that every node and agent of a fleet reads, as YAML 1.2 (or JSON).',
  });

/** A JSON Schema, as far as this program looks into it. */
export interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | false;
  readonly items?: JsonSchema;
  readonly description?: string;
  readonly [keyword: string]: unknown;
}

/** The schema of the file as written, JSON Schema draft 2020-12. */
export function configJsonSchema(): JsonSchema {
  jsonSchema ??= z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' }) as JsonSchema;
  return jsonSchema;
}

let jsonSchema: JsonSchema | undefined;
