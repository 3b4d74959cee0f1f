/** A pool's health check between shape and rules: defaults filled in, and what is badly written left out. */
import {
  HEALTH_FALL_DEFAULT,
  HEALTH_INTERVAL_MS_DEFAULT,
  HEALTH_JITTER_DEFAULT,
  HEALTH_RISE_DEFAULT,
  HEALTH_TIMEOUT_MS_DEFAULT,
} from '../core/limits.js';
import { parseDuration } from '../core/time.js';
import { type HEALTH_KINDS, HEALTH_PATH_DEFAULT, HEALTH_STATUS_DEFAULT } from './health-schema.js';
import type { FieldPath } from './path.js';
import type { ConfigInput } from './schema.js';
import type { Partially } from './shape.js';
import { parseStatusCodes, type StatusCodes } from './status-codes.js';

export interface DraftHealth {
  readonly path: FieldPath;
  /** Undefined when badly written, as are the times. */
  readonly kind: (typeof HEALTH_KINDS)[number] | undefined;
  readonly port: number | undefined;
  readonly intervalMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly rise: number;
  readonly fall: number;
  readonly jitter: number;
  readonly httpPath: string;
  readonly host: string | undefined;
  readonly status: StatusCodes;
  readonly body: string | undefined;
  readonly tls: {
    readonly verify: boolean;
    readonly serverName: string | undefined;
    readonly caFile: string | undefined;
  };
  readonly payload: string | undefined;
  readonly answer: string | undefined;
  /** The fields that the file tells of, well or badly. */
  readonly written: ReadonlySet<string>;
}

type HealthInput = Partially<NonNullable<ConfigInput['pools'][string]['health']>>;

export function draftHealth(path: FieldPath, health: HealthInput): DraftHealth {
  const { tls } = health;
  return {
    path,
    kind: health.kind,
    port: health.port,
    intervalMs: duration(health, 'interval', HEALTH_INTERVAL_MS_DEFAULT),
    timeoutMs: duration(health, 'timeout', HEALTH_TIMEOUT_MS_DEFAULT),
    rise: health.rise ?? HEALTH_RISE_DEFAULT,
    fall: health.fall ?? HEALTH_FALL_DEFAULT,
    jitter: health.jitter ?? HEALTH_JITTER_DEFAULT,
    httpPath: health.path ?? HEALTH_PATH_DEFAULT,
    host: health.host,
    status: parseStatusCodes(health.status ?? HEALTH_STATUS_DEFAULT)!,
    body: health.body,
    tls: { verify: tls?.verify ?? true, serverName: tls?.server_name, caFile: tls?.ca_file },
    payload: health.payload,
    answer: health.answer,
    written: new Set(Object.keys(health)),
  };
}

function duration(health: HealthInput, field: 'interval' | 'timeout', otherwise: number): number | undefined {
  const text = health[field];
  if (text !== undefined) return parseDuration(text);
  return field in health ? undefined : otherwise;
}
