/**
 * What the agent tells forwarders and backends on its underlay addresses: `GET /report`, its connections and counters; and `GET /probe`, what
 * becomes of a forwarder's probe (probe-watch.ts).
 */
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';
import type { Asked } from './drain-wish.js';
import type { Fleet } from './fleet.js';
import type { ProbeWatch } from './probe-watch.js';
import { FORWARDER_HEADER, readQuestion } from './question.js';
import { type AgentReport, REPORT_PATH } from './report.js';
import { type UnderlayAnswer, type UnderlayQuestion, UnderlayServer } from './underlay-server.js';

export class ReportServer {
  readonly #report: (asked: Asked) => AgentReport;
  readonly #log: Logger;
  readonly #server: UnderlayServer;

  /**
   * @param fleet who may ask: forwarders and backends
   * @param locals the addresses to listen on
   * @param report may throw: then the answer says so
   * @param watch of probes; undefined when they are not watched
   */
  constructor(
    fleet: Fleet,
    port: number,
    locals: readonly IpAddress[],
    report: (asked: Asked) => AgentReport,
    log: Logger,
    watch?: ProbeWatch,
  ) {
    this.#report = report;
    this.#log = log;
    this.#server = new UnderlayServer({
      fleet,
      port,
      locals,
      path: REPORT_PATH,
      answer: (question) => this.#answer(question),
      ...(watch && { slow: watch }),
      log: {
        unavailable: (where, why) =>
          log.warn(
            { event: 'report_unavailable', ...where },
            `no reports on ${where.address} port ${where.port}, which is tried again: ${why}`,
          ),
        available: ({ address, port: on }) =>
          log.info({ event: 'report_available' }, `reports on ${address} port ${on} now`),
      },
    });
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #answer({ address, ...question }: UnderlayQuestion): UnderlayAnswer {
    const forwarder = forwarderOf(question);
    try {
      return { status: 200, body: this.#report({ address, ...(forwarder && { forwarder }) }) };
    } catch (error) {
      // Not knowing must not read as having no connections.
      const { message } = error as Error;
      this.#log.error({ event: 'report_failed' }, `no report can be given: ${message}`);
      return { status: 503, body: { error: message } };
    }
  }
}

/** A backend that says it is a forwarder is none. */
function forwarderOf({ peer, isForwarder, headers }: Omit<UnderlayQuestion, 'address'>): Asked['forwarder'] {
  const said = readQuestion(headers[FORWARDER_HEADER]);
  return peer === undefined || said === undefined || !isForwarder
    ? undefined
    : { address: peer.text, ...said };
}
