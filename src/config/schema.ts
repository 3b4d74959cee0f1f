/**
 * The schema of the config file: each field has a type, range, default, description, and a transform to the value that the
 * program uses. `anyhop schema` publishes it as JSON Schema, and the loader enforces it. A field's `error` is the "expected ..."
 * half of its message. Rules over several fields are under rules/.
 */
import * as z from 'zod';
import {
  AGENT_METRICS_PORT_DEFAULT,
  AGENT_REPORT_PORT_DEFAULT,
  BACKEND_ID_MAX,
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
  NODE_METRICS_PORT_DEFAULT,
  POOLS_MAX,
  RUN_DIRECTORY_DEFAULT,
  SERVICES_MAX,
  SETTLE_MS_DEFAULT,
  SETTLE_MS_MAX,
  SETTLE_MS_MIN,
  STATE_DIRECTORY_DEFAULT,
  STOP_DELAY_MS_MAX,
  TABLE_SIZE_DEFAULT,
  TABLE_SIZE_MAX,
  TABLE_SIZE_MIN,
  WEIGHT_MAX,
} from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import { parsePrefix } from '../packet/address.js';
import { announce } from './announce/schema.js';
import { defend, defendOtherwise } from './defend/schema.js';
import { backendsFrom, discover } from './discover/schema.js';
import { choice, duration, integer, named, onOff, parsed, ports, share, text } from './fields.js';
import { fleet } from './fleet/schema.js';
import { health } from './health-schema.js';
import { FINGERPRINT_PATTERN } from './key-fingerprint.js';
import { l7 } from './l7/schema.js';
import { metrics, siblings } from './metrics/schema.js';
import { address, NAME_PATTERN, name, PREFIX_EXPECTED, path, prefix, socketPath } from './name-fields.js';
import { ENGINE_CHOICES } from './types.js';

/** What the kernel accepts (dev_valid_name), without names that are certainly mistakes. */
export const INTERFACE_PATTERN = new RegExp(`^(?!-|\\.{1,2}$)[A-Za-z0-9._@-]{1,${INTERFACE_CHARS_MAX}}$`);
export const INTERFACE_EXPECTED = `the name of a network interface, ${INTERFACE_CHARS_MAX} characters at most`;
export const KEY_PATTERN = new RegExp(
  `^([0-9A-Fa-f]{2}){${KEY_HEX_DIGITS_MIN / 2},${KEY_HEX_DIGITS_MAX / 2}}$`,
);
export const KEY_EXPECTED =
  `an even number of hexadecimal digits, ${KEY_HEX_DIGITS_MIN} to ` + `${KEY_HEX_DIGITS_MAX}`;

export const networkInterface = text(INTERFACE_EXPECTED, INTERFACE_PATTERN);

export const node = z
  .strictObject(
    {
      name: name.optional().describe('Name of this forwarder. Default: the host name.'),
      interface: networkInterface
        .optional()
        .describe('Interface that receives packets for the VIPs and sends GRE packets.'),
      engine: choice(ENGINE_CHOICES)
        .default('auto')
        .describe(
          'Engine that moves the packets. auto picks the fastest one that the interface and the kernel support.',
        ),
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
            'Outer source addresses of GRE packets: one IPv4 entry, one IPv6 entry, or both. An IPv4 prefix spreads flows over its addresses; no host may use any of them.',
          ),
      ),
      key_file: z
        .string({ error: 'the path of a file' })
        .min(1, { error: 'the path of a file' })
        .optional()
        .describe(
          'File with the secret of the fleet in hexadecimal digits, or with several, one a line: key_id says which one is in force. ' +
            'The path is relative to the config file. Set this or key.',
        ),
      key_id: text(
        'the fingerprint of a secret, 16 hexadecimal digits: keyFingerprint of `anyhop status --json`',
        FINGERPRINT_PATTERN,
      )
        .optional()
        .describe(
          'Fingerprint of the secret in force, where key_file holds several. `anyhop fleet rotate-key` changes it for a whole fleet.',
        ),
      key: text(KEY_EXPECTED, KEY_PATTERN)
        .optional()
        .describe('The secret of the fleet in hexadecimal digits. Set this or key_file.'),
      second_chance_prefix: parsed(
        'an IPv6 prefix of length 96, "2001:db8::/96"',
        (text) => {
          const prefix = parsePrefix(text);
          return prefix?.address.family === 6 ? prefix : undefined;
        },
        /^[0-9A-Fa-f:.]+\/96$/,
      )
        .optional()
        .describe('Not used any more: backends have ids. The next version refuses it.')
        .meta({ deprecated: true }),
      busy_poll_us: integer(`a whole number of microseconds, 0 to ${BUSY_POLL_US_MAX}`, 0, BUSY_POLL_US_MAX)
        .default(BUSY_POLL_US_DEFAULT)
        .describe(
          'How long an idle af_xdp worker polls before it sleeps. A longer time costs CPU time, a shorter one adds latency.',
        ),
      bpffs: path
        .default(BPFFS_DEFAULT)
        .describe(
          'Mount point of the BPF file system. The xdp engine pins its program and maps there, so that they outlive the process.',
        ),
      socket: socketPath
        .optional()
        .describe('Path of the control socket. Default: /run/anyhop/NAME.sock, with the name of the node.'),
      state_dir: named(
        'stateDirectory',
        path
          .default(STATE_DIRECTORY_DEFAULT)
          .describe(
            'Directory for what the node keeps across restarts: remembered states, waiting changes, overrides.',
          ),
      ),
      metrics: metrics(NODE_METRICS_PORT_DEFAULT).optional(),
      siblings,
      local_vips: z
        .boolean({ error: 'true or false' })
        .default(false)
        .describe(
          'Whether VIPs may be addresses of this host, as on the active node of a keepalived pair. Otherwise such a VIP is refused.',
        ),
      stop_delay: named(
        'stopDelayMs',
        duration(0, STOP_DELAY_MS_MAX)
          .prefault('0s')
          .describe('How long a stopping node keeps forwarding after it reports that it is not ready.'),
      ),
    },
    { error: 'a mapping with this node: interface, source, key_file, ...' },
  )
  .meta({ not: { required: ['key', 'key_file'] } })
  .describe('This forwarder.');

const backendFields = {
  name: name.describe(
    'Stable name of the server. The name decides which slots the server gets, and is unique within the list.',
  ),
  address: address.describe('Underlay address to which GRE packets are sent.'),
  weight: integer(`a whole number, 0 to ${WEIGHT_MAX}`, 0, WEIGHT_MAX)
    .default(1)
    .describe('Share of new flows relative to the other backends of the pool. 0: none.'),
  state: choice(['active', 'draining'])
    .default('active')
    .describe('A draining backend gets no new flows and keeps the flows that it has.'),
  agent: z
    .boolean({ error: 'true or false' })
    .default(true)
    .describe('Whether the server runs `anyhop agent`. false: it has a plain kernel GRE tunnel.'),
  id: integer(`a whole number, 1 to ${BACKEND_ID_MAX}`, 1, BACKEND_ID_MAX)
    .optional()
    .describe(
      'Number that names the server in GRE keys, unique among the pools of services with second chance. Default: the low 15 bits of its address.',
    ),
  leaves: z
    .boolean({ error: 'true or false' })
    .default(false)
    .describe(
      'Written by discovery: the source of the pool took the server away, so it drains and then goes.',
    ),
};

const BACKEND_EXPECTED = 'a mapping {name: ..., address: ...}';
export const BACKENDS_EXPECTED = 'a list of backends, at least one: - {name: ..., address: ...}';
export const backend = z.strictObject(backendFields, { error: BACKEND_EXPECTED });
export const priorBackend = z.strictObject(
  {
    ...backendFields,
    health: choice(['up', 'down']).default('up').describe('Health of the backend in that state.'),
  },
  { error: BACKEND_EXPECTED },
);

export const pool = z
  .strictObject(
    {
      table_size: integer(
        `a prime number, ${TABLE_SIZE_MIN} to ${TABLE_SIZE_MAX}`,
        TABLE_SIZE_MIN,
        TABLE_SIZE_MAX,
      )
        .default(TABLE_SIZE_DEFAULT)
        .describe(
          'Number of slots of the lookup table (M). Use a prime of at least 100 times the number of backends.',
        ),
      panic_threshold: share()
        .prefault(0)
        .describe(
          'When less than this share of the active backends is up, all backends count as up. 0: never.',
        ),
      health: health
        .optional()
        .describe(
          'How the backends are checked: one check, or a list of checks that must all pass. Without it, a backend is up while the kernel knows a next hop to it.',
        ),
      dead_after: named(
        'deadAfterMs',
        duration(DEAD_AFTER_MS_MIN, DEAD_AFTER_MS_MAX)
          .prefault(formatDuration(DEAD_AFTER_MS_DEFAULT))
          .describe(
            'A backend that has been down for this long is no longer a candidate for older connections.',
          ),
      ),
      settle_time: named(
        'settleMs',
        duration(SETTLE_MS_MIN, SETTLE_MS_MAX)
          .prefault(formatDuration(SETTLE_MS_DEFAULT))
          .describe(
            'How long a change is remembered, and is one of two that may overlap. Set it longer than connections live.',
          ),
      ),
      drain_deadline: named(
        'drainDeadlineMs',
        duration(DRAIN_DEADLINE_MS_MIN, DRAIN_DEADLINE_MS_MAX)
          .prefault(formatDuration(DRAIN_DEADLINE_MS_DEFAULT))
          .describe('A drain counts as done after this time, even if connections are left.'),
      ),
      backends_from: backendsFrom.optional(),
      backends: z
        .array(backend, { error: BACKENDS_EXPECTED })
        .min(1, { error: BACKENDS_EXPECTED })
        .meta({ maxItems: BACKENDS_PER_POOL_MAX })
        .default([])
        .describe('Servers of the pool. With backends_from, the program writes them.'),
      prior: z
        .array(priorBackend, { error: BACKENDS_EXPECTED })
        .min(1, { error: BACKENDS_EXPECTED })
        .meta({ maxItems: BACKENDS_PER_POOL_MAX })
        .optional()
        .describe(
          'The last settled state of the pool, to set it here instead of letting the node remember it.',
        ),
      defend: defendOtherwise,
    },
    { error: 'a mapping {backends: [...]}' },
  )
  .meta({ not: { not: { anyOf: [{ required: ['backends'] }, { required: ['backends_from'] }] } } });

export const service = z.strictObject(
  {
    name: name.describe('Name of the service in logs and metrics.'),
    vip: address.describe('Virtual IP address that clients connect to.'),
    protocol: choice(['tcp', 'udp']).describe('Transport protocol.'),
    port: named('ports', ports().describe('Port, or an inclusive range of ports in quotes, "8000-8999".')),
    pool: z
      .string({ error: 'the name of a pool' })
      .describe('Name of the pool that serves it, a key of pools.'),
    hash: choice(['5-tuple', '3-tuple', 'source'])
      .default('5-tuple')
      .describe('Fields of a packet that choose the slot. source keeps each client on one backend.'),
    second_chance: onOff()
      .prefault('off')
      .describe(
        'on (TCP only): a backend that does not know a connection passes its packets on to the alternate backend.',
      ),
    defend: defendOtherwise,
  },
  { error: 'a mapping {name: ..., vip: ..., protocol: ..., port: ..., pool: ...}' },
);

export const agent = z
  .strictObject(
    {
      interface: networkInterface.optional().describe('Interface that receives GRE packets.'),
      forwarders: z
        .array(prefix, { error: 'a list of addresses or prefixes, at least one' })
        .min(1, { error: 'a list of addresses or prefixes, at least one' })
        .describe(
          'Addresses or prefixes of the forwarders. Agents drop GRE packets from all other sources, except from backends of the pools.',
        ),
      bpffs: path
        .default(BPFFS_DEFAULT)
        .describe(
          'Mount point of the BPF file system. Agents pin their programs and counters there, so that they outlive the processes.',
        ),
      report_port: integer('a port, 1 to 65535', 1, 65535)
        .default(AGENT_REPORT_PORT_DEFAULT)
        .describe(
          'TCP port on which agents report their connections and counters to forwarders and to each other.',
        ),
      run_dir: named(
        'runDirectory',
        path
          .default(RUN_DIRECTORY_DEFAULT)
          .describe(
            'Directory in which the host of a backend asks to be drained: `anyhop agent --drain` makes a file there.',
          ),
      ),
      metrics: metrics(AGENT_METRICS_PORT_DEFAULT).optional(),
      vip_elsewhere: z
        .boolean({ error: 'true or false' })
        .default(false)
        .describe(
          'Whether agents also accept packets for VIPs that their host does not have, for DNAT rules or routes of the host. Otherwise they drop them.',
        ),
    },
    { error: 'a mapping {forwarders: [...]}' },
  )
  .describe('The backend side, for `anyhop agent`.');

/**
 * The whole file. The command decides which sections are required. Rules check counts and names
 * of pools and services, so that a wrong one does not hide problems inside; the published schema has them too.
 */
export const configSchema = z
  .strictObject(
    {
      node: node.optional(),
      pools: z
        .record(z.string(), pool, { error: 'a mapping of pools by name' })
        .meta({ minProperties: 1, maxProperties: POOLS_MAX, propertyNames: { pattern: NAME_PATTERN.source } })
        .optional()
        .describe('Sets of backends by name.'),
      services: z
        .array(service, { error: 'a list of services' })
        .meta({ maxItems: SERVICES_MAX })
        .optional()
        .describe('What is forwarded: each VIP, protocol and port to a pool.'),
      defend,
      agent: agent.optional(),
      l7: l7.optional(),
      announce: announce.optional(),
      fleet: fleet.optional(),
      discover: discover.optional(),
    },
    { error: 'a mapping with node, pools and services' },
  )
  .meta({
    $id: 'urn:anyhop:config:1',
    title: 'anyhop configuration',
    description: 'The file that every node and agent of a fleet reads, in YAML 1.2 (or JSON).',
  });

/** The parts of a JSON Schema that anyhop reads. */
export interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | false;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly description?: string;
  readonly [keyword: string]: unknown;
}

/** The schema of the file as written, JSON Schema draft 2020-12. */
export function configJsonSchema(): JsonSchema {
  jsonSchema ??= z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' }) as JsonSchema;
  return jsonSchema;
}

let jsonSchema: JsonSchema | undefined;
