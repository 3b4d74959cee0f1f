/**
 * Whether an answer is a status that the view can read. It may come from another machine, another version or another program: the view
 * reads these fields and no others, so that nothing in it meets a value of another kind or more of them than a node can have.
 */
import type { NodeEvent } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { isRecord } from '../core/is-record.js';
import { BACKENDS_MAX, POOLS_MAX, SERVICES_MAX } from '../core/limits.js';

/** Undefined, or what is wrong: a place, and what stands there. */
type Check = (value: unknown, place: string) => string | undefined;

/** Names and reasons; longer texts stand in no field that is read here. */
const TEXT_CHARS_MAX = 64 * 1024;
/** More than any version has. */
const VERDICT_NAMES_MAX = 1024;
const LIST_MAX = 4096;
/** Of each service more kinds than any version has. */
const ATTACKS_MAX = 8 * SERVICES_MAX;

const text: Check = (value, place) =>
  typeof value === 'string' && value.length <= TEXT_CHARS_MAX ? undefined : `${place} is no text`;
const count: Check = (value, place) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? undefined : `${place} is no count`;
const flag: Check = (value, place) =>
  typeof value === 'boolean' ? undefined : `${place} is neither true nor false`;

function optional(check: Check): Check {
  return (value, place) => (value === undefined ? undefined : check(value, place));
}

function nullable(check: Check): Check {
  return (value, place) => (value === null ? undefined : check(value, place));
}

function list(check: Check, most = LIST_MAX): Check {
  return (value, place) => {
    if (!Array.isArray(value)) return `${place} is no list`;
    if (value.length > most) return `${place} has more than ${most} entries`;
    return firstOf(value, (one, i) => check(one, `${place}[${i}]`));
  };
}

function fields(checks: Readonly<Record<string, Check>>): Check {
  const all = Object.entries(checks);
  return (value, place) => {
    if (!isRecord(value)) return `${place || 'it'} is no object`;
    return firstOf(all, ([name, check]) => check(value[name], place === '' ? name : `${place}.${name}`));
  };
}

function named(check: Check, most: number): Check {
  return (value, place) => {
    if (!isRecord(value)) return `${place} is no object`;
    const all = Object.entries(value);
    if (all.length > most) return `${place} has more than ${most} entries`;
    return firstOf(all, ([, one], i) => check(one, `${place}[${i}]`));
  };
}

function firstOf<T>(
  values: readonly T[],
  check: (value: T, index: number) => string | undefined,
): string | undefined {
  for (let i = 0; i < values.length; i++) {
    const problem = check(values[i], i);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Rates are missing where nobody measures them (rates.ts). */
const traffic = {
  packets: count,
  bytes: count,
  packetsPerSecond: optional(count),
  bytesPerSecond: optional(count),
};

const backend = fields({
  name: text,
  address: text,
  weight: count,
  state: text,
  health: text,
  healthReason: optional(text),
  healthSince: text,
  reachable: flag,
  slots: count,
  nextHop: fields({ missing: optional(text) }),
  drain: optional(
    fields({
      since: text,
      deadline: text,
      connections: nullable(count),
      unknown: optional(text),
      done: flag,
    }),
  ),
  agent: optional(
    fields({
      reachable: flag,
      at: text,
      why: optional(text),
      connections: optional(count),
      missingVips: optional(list(text)),
    }),
  ),
  checks: optional(list(fields({ name: text, last: optional(fields({ at: text, tookMs: count })) }))),
  ...traffic,
});

const defence = fields({
  services: list(fields({ name: text, cookies: optional(text) }), SERVICES_MAX),
  lists: fields({ problems: list(text) }),
  withoutCookies: list(fields({ pool: text, backend: text, why: text }), BACKENDS_MAX),
  attacks: list(
    fields({ service: text, kind: text, since: text, until: optional(text), rate: count, mode: text }),
    ATTACKS_MAX,
  ),
});

const status = fields({
  node: text,
  version: text,
  pid: count,
  startedAt: text,
  interface: text,
  keyFingerprint: text,
  flowHashVersion: count,
  log: optional(fields({ lost: count })),
  readiness: fields({
    ready: flag,
    reasons: list(text),
    services: list(fields({ name: text, ready: flag, reason: optional(text) }), SERVICES_MAX),
  }),
  config: fields({ refused: optional(fields({ message: text })) }),
  engine: fields({
    name: text,
    mode: text,
    counters: fields({ missed: nullable(count), sendFailed: nullable(count) }),
  }),
  image: fields({ generation: count, failed: optional(text) }),
  services: list(
    fields({
      name: text,
      vip: text,
      protocol: text,
      portFirst: count,
      portLast: count,
      pool: text,
      ...traffic,
    }),
    SERVICES_MAX,
  ),
  pools: list(
    fields({
      name: text,
      mode: text,
      slots: count,
      digests: fields({ owners: text, alternates: text }),
      change: fields({
        settlesAt: optional(text),
        formerKey: optional(fields({ id: text, until: text })),
        queued: list(fields({ id: text, changes: list(text) })),
      }),
      backends: list(backend, BACKENDS_MAX),
    }),
    POOLS_MAX,
  ),
  verdicts: named(fields({ packets: count, packetsPerSecond: optional(count) }), VERDICT_NAMES_MAX),
  defend: optional(defence),
});

const events = fields({
  events: list(fields({ at: text, level: text, event: text, message: text }), 100_000),
});

const WHO = {
  exitCode: EXIT.failure,
  hint: 'Another version of anyhop, or another program, may be running there.',
};

/** What came for `GET /status`. @throws AnyhopError ERR_SOCKET that says in which field it is none */
export function asStatus(value: unknown): NodeStatus {
  const problem = status(value, '');
  if (problem === undefined) return value as NodeStatus;
  throw new AnyhopError('ERR_SOCKET', `the answer is no status of a node: ${problem}`, WHO);
}

/** Of the answer to `GET /events`. @throws as `asStatus` */
export function asEvents(value: unknown): readonly NodeEvent[] {
  const problem = events(value, '');
  if (problem === undefined) return (value as { events: readonly NodeEvent[] }).events;
  throw new AnyhopError('ERR_SOCKET', `the answer holds no events: ${problem}`, WHO);
}
