/**
 * What a health check of the pool of proxy hosts asks: `GET /anyhop-l7` on the host's underlay addresses. It is 503 only when
 * HAProxy does not serve or no upstream is usable; a drain is no failure.
 */
import { fleetOf, namesOf } from '../agent/fleet.js';
import { type AvailabilityLog, UnderlayServer } from '../agent/underlay-server.js';
import type { LoadedConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';
import { Repeated } from './repeated.js';

export const L7_HEALTH_PATH = '/anyhop-l7';
/** How often it is looked whether the config or the addresses of this host have changed. */
const FOLLOW_MS = 1_000;

export interface L7Health {
  readonly ok: boolean;
  readonly why?: string;
}

export interface HealthOptions {
  /** The config in force. */
  readonly config: () => LoadedConfig<'l7'>;
  /** The backends' addresses that are this host's. */
  readonly locals: () => readonly IpAddress[];
  /** As it is now. */
  readonly health: () => L7Health;
  readonly log: Logger;
}

/** Listens on what the config in force says, and goes on listening while that stays the same. */
export class HealthAnswers {
  readonly #options: HealthOptions;
  readonly #say: AvailabilityLog;
  readonly #looks: Repeated;
  #server!: UnderlayServer;
  /** What it was made of. */
  #config!: LoadedConfig<'l7'>;
  #locals!: readonly IpAddress[];

  constructor(options: HealthOptions) {
    const { log } = options;
    this.#options = options;
    this.#say = availability(log);
    this.#looks = new Repeated({
      what: 'the answer to health checks',
      everyMs: () => FOLLOW_MS,
      task: () => this.#follow(),
      log,
    });
    this.#listen();
  }

  async close(): Promise<void> {
    await this.#looks.close();
    await this.#server.close();
  }

  async #follow(): Promise<void> {
    const { config, locals } = this.#options;
    const isMoved = !sameAddresses(locals(), this.#locals);
    if (config() === this.#config && !isMoved) return;
    if (!isMoved && keyOf(config()) === keyOf(this.#config)) {
      this.#config = config();
      return;
    }
    await this.#server.close();
    this.#listen();
  }

  #listen(): void {
    const { config, locals, health, log } = this.#options;
    this.#config = config();
    this.#locals = locals();
    this.#server = new UnderlayServer({
      fleet: fleetOf(this.#config),
      port: this.#config.l7.healthPort,
      locals: this.#locals,
      path: L7_HEALTH_PATH,
      answer: () => {
        const body = health();
        return { status: body.ok ? 200 : 503, body };
      },
      log: this.#say,
    });
    if (this.#locals.length === 0)
      log.warn(
        { event: 'l7_no_backend' },
        'none of the backends in the config has an address of this host: no forwarder sends anything here, and no health check is answered',
      );
  }
}

/** What a server is made of, as a text. */
function keyOf(config: LoadedConfig<'l7'>): string {
  return [config.l7.healthPort, ...namesOf(fleetOf(config))].join('\n');
}

function sameAddresses(a: readonly IpAddress[], b: readonly IpAddress[]): boolean {
  return a.length === b.length && a.every(({ text }, i) => text === b[i]!.text);
}

function availability(log: Logger): AvailabilityLog {
  return {
    unavailable: (where, why) =>
      log.warn(
        { event: 'l7_health_unavailable', ...where },
        `health checks are not answered on ${where.address} port ${where.port}, which is tried again: ${why}`,
      ),
    available: (where) =>
      log.info(
        { event: 'l7_health_available', ...where },
        `health checks are answered on ${where.address} port ${where.port} now`,
      ),
  };
}
