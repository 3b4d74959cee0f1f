/**
 * Every limit of the control side, named once, with the relations between them asserted when this file loads.
 * Limits that the packet side shares (probe lengths, header sizes) live in native/include/anyhop/image.h.
 * Units stand last in a name.
 */

/** M when a pool does not say: the smaller of the two sizes in the Maglev paper (section 5.3). */
export const TABLE_SIZE_DEFAULT = 65537;
/** Below this an uneven table is certain and nothing is saved. */
export const TABLE_SIZE_MIN = 251;
/** The larger of the paper's sizes; a pool of this size takes 2.5 MiB of image. */
export const TABLE_SIZE_MAX = 655373;
/** M below this many slots a backend makes some backends visibly busier than others (paper, section 5.3). */
export const SLOTS_PER_BACKEND_ADVISED = 100;

/** Layers of a pool's stack of tables; n backends with weight above 0 give min(LAYERS_MAX, n). */
export const LAYERS_MAX = 4;

export const POOLS_MAX = 256;
export const BACKENDS_PER_POOL_MAX = 4096;
/** Over all pools of one node, members of prior states included. */
export const BACKENDS_MAX = 65535;
export const SERVICES_MAX = 4096;
export const VIPS_MAX = 4096;
export const WEIGHT_MAX = 65535;

/** Health checks: see src/config/health-schema.ts for what they mean. */
export const HEALTH_INTERVAL_MS_DEFAULT = 2000;
export const HEALTH_INTERVAL_MS_MIN = 100;
export const HEALTH_INTERVAL_MS_MAX = 3_600_000;
export const HEALTH_TIMEOUT_MS_DEFAULT = 1000;
export const HEALTH_TIMEOUT_MS_MIN = 10;
export const HEALTH_RISE_DEFAULT = 2;
export const HEALTH_FALL_DEFAULT = 3;
/** Of results in a row. */
export const HEALTH_COUNT_MAX = 100;
export const HEALTH_JITTER_DEFAULT = 0.1;
export const HEALTH_JITTER_MAX = 0.5;
/** Of a payload, an expected answer, or an expected part of a body. */
export const HEALTH_BYTES_MAX = 1024;
/** Of a body, searched for the expected part. */
export const HEALTH_BODY_BYTES_MAX = 64 * 1024;
/** Of the status line and headers of an answer; a server that sends more is judged by its status only. */
export const HEALTH_HEAD_BYTES_MAX = 128 * 1024;
/** Of a whole answer as it comes: room for a body in chunks of one byte each. */
export const HEALTH_ANSWER_BYTES_MAX = 1024 * 1024;
/** Reads that one answer may take: a server that sends byte after byte costs no more than so many turns. */
export const HEALTH_ANSWER_READS_MAX = 1024;
export const HEALTH_CA_BYTES_MAX = 1024 * 1024;
export const DEAD_AFTER_MS_DEFAULT = 300_000;
export const DEAD_AFTER_MS_MIN = 1000;
export const DEAD_AFTER_MS_MAX = 86_400_000;

/** Should be longer than connections live: what had a slot before a change is remembered for so long. */
export const SETTLE_MS_DEFAULT = 300_000;
export const SETTLE_MS_MIN = 1000;
export const SETTLE_MS_MAX = 7 * 86_400_000;
/** After so long a drain counts as done, whatever is left. */
export const DRAIN_DEADLINE_MS_DEFAULT = 3_600_000;
export const DRAIN_DEADLINE_MS_MIN = 1000;
export const DRAIN_DEADLINE_MS_MAX = 30 * 86_400_000;
/** How long a stopping node forwards on after it has said that it is not ready. */
export const STOP_DELAY_MS_MAX = 600_000;

/** Longer than a batch takes, shorter than anybody notices in `top`. */
export const BUSY_POLL_US_DEFAULT = 50;
/** One second: as good as for ever. */
export const BUSY_POLL_US_MAX = 1_000_000;
export const BPFFS_DEFAULT = '/sys/fs/bpf';
export const STATE_DIRECTORY_DEFAULT = '/var/lib/anyhop';
/** The TCP port where agents report their connections. */
export const AGENT_REPORT_PORT_DEFAULT = 9611;
/** Linux: sun_path, less the closing NUL. */
export const SOCKET_PATH_BYTES_MAX = 107;

/** Of a request to the control socket; the largest that is asked for has some 200. */
export const CONTROL_BODY_BYTES_MAX = 64 * 1024;
/** To the control socket, at a time. */
export const CONTROL_CONNECTIONS_MAX = 64;
/** Of these, so many may wait to have asked before the oldest of them makes room, and not one whose answer is under way. */
export const CONTROL_UNASKED_MIN = 16;
/** Changes asked for over the control socket that run or wait for their turn: none of these is let go. */
export const CONTROL_CHANGES_MAX = 16;

/** Planned changes of one pool that wait for the one before them; more is a script that has gone wild. */
export const CHANGES_QUEUED_MAX = 64;

/** Names of nodes, pools, services and backends, in (ASCII) characters. */
export const NAME_CHARS_MAX = 63;
/** Linux: IFNAMSIZ less the closing NUL. */
export const INTERFACE_CHARS_MAX = 15;
/** The fleet's secret, in hexadecimal digits: 128 bits at least. */
export const KEY_HEX_DIGITS_MIN = 32;
export const KEY_HEX_DIGITS_MAX = 1024;
export const CONFIG_BYTES_MAX = 16 * 1024 * 1024;
/** Nesting of lists and mappings in the config file; the schema needs 6. */
export const CONFIG_DEPTH_MAX = 16;
/** Values that YAML aliases may add to a config file, all together; stops files that unfold without end. */
export const CONFIG_ALIASED_VALUES_MAX = 1_000_000;

/** An all-ones 16-bit index means "none", and owners are 16-bit indexes local to a pool. */
const INDEX_NONE = 0xffff;
if (BACKENDS_PER_POOL_MAX > INDEX_NONE || BACKENDS_MAX > INDEX_NONE || SERVICES_MAX * 2 > INDEX_NONE) {
  throw new RangeError('limits: an index would not fit 16 bits');
}
// The config checks only the number of services.
if (VIPS_MAX < SERVICES_MAX)
  throw new RangeError('limits: services within their limit could have too many VIPs');
// Who neither asks nor changes anything is let go for the next client; there must always be one.
if (CONTROL_CHANGES_MAX + CONTROL_UNASKED_MIN >= CONTROL_CONNECTIONS_MAX)
  throw new RangeError('limits: changes that wait could keep all others from the control socket');
// A pool that sets nothing of it must be a good one.
if (HEALTH_TIMEOUT_MS_DEFAULT > HEALTH_INTERVAL_MS_DEFAULT * (1 - HEALTH_JITTER_DEFAULT))
  throw new RangeError('limits: by default, a health check could outlast its interval');
// Quotas and turns are exact only while their products stay below 2^53 (src/table/turns.ts).
if (
  TABLE_SIZE_MAX * TABLE_SIZE_MAX * 2 > Number.MAX_SAFE_INTEGER ||
  TABLE_SIZE_MAX * WEIGHT_MAX > Number.MAX_SAFE_INTEGER
) {
  throw new RangeError('limits: table arithmetic would not be exact');
}
