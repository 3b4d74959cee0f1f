/**
 * What a health check of the pool of proxy hosts asks: `GET /anyhop-l7` on the host's underlay addresses. It is 503 only when
 * HAProxy is dead or no upstream is usable; a drain is no failure.
 */
import type { Fleet } from '../agent/fleet.js';
import { UnderlayServer } from '../agent/underlay-server.js';
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';

export const L7_HEALTH_PATH = '/anyhop-l7';

export interface L7Health {
  readonly ok: boolean;
  readonly why?: string;
}

/** @param health as it is now */
export function serveHealth(
  fleet: Pick<Fleet, 'forwarders' | 'backends'>,
  port: number,
  locals: readonly IpAddress[],
  health: () => L7Health,
  log: Logger,
): UnderlayServer {
  return new UnderlayServer({
    fleet,
    port,
    locals,
    path: L7_HEALTH_PATH,
    answer: () => {
      const body = health();
      return { status: body.ok ? 200 : 503, body };
    },
    log: {
      unavailable: (where, why) =>
        log.warn(
          { event: 'l7_health_unavailable', ...where },
          `no health answers on ${where.address} port ${where.port}, which is tried again: ${why}`,
        ),
      available: (where) =>
        log.info(
          { event: 'l7_health_available' },
          `health answers on ${where.address} port ${where.port} now`,
        ),
    },
  });
}
