/**
 * The connection to etcd: one of its servers at a time, and the next one as soon as that one fails, stalls, or has lost the others.
 *
 * The library (etcd3) has its own ways of going on after a fault, which are not used: it asks a server that stalls again and again, counts
 * a missed deadline as an answer, and stops asking at all for 5 s after three faults. Its watches are not used either: they would go on
 * after a restore from a snapshot as if nothing had happened, and keep a process alive that has closed them.
 */
import {
  ClientClosedError,
  Etcd3,
  GRPCDeadlineExceededError,
  type IOptions,
  type IWatchRequest,
  type IWatchResponse,
  isRecoverableError,
} from 'etcd3';
import type { FleetConfig } from '../config/fleet/types.js';
import { FLEET_ANSWER_BYTES_MAX } from '../core/limits.js';

/** How long a server may take to answer. */
export const ANSWER_MS = 3_000;
/** Of gRPC: how often a silent connection is tried, and how long it may be silent then. etcd cuts a connection that is tried more
 * often than every 5 s. */
const [KEEPALIVE_MS, KEEPALIVE_ANSWER_MS] = [10_000, 2_000];
const RECONNECT_MS = 1_000;
/** Calls once, without asking again. */
const ONCE = {
  execute: async (call: () => unknown) => call(),
} as unknown as NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

export class StoreClient {
  readonly #read: () => FleetConfig;
  readonly #open: (options: IOptions) => Etcd3;
  #fleet: FleetConfig;
  #turn: number;
  #etcd: Etcd3 | undefined;
  #isClosed = false;
  /** Ends of the watches at this server. */
  readonly #watches = new Set<() => void>();

  /**
   * @param read reads the config anew, before each connection: certificates are replaced while a process runs
   * @param open begins a connection; tests have other servers than etcd
   */
  constructor(
    fleet: FleetConfig,
    read: () => FleetConfig = () => fleet,
    open: (options: IOptions) => Etcd3 = (options) => new Etcd3(options),
  ) {
    this.#fleet = fleet;
    this.#read = read;
    this.#open = open;
    this.#turn = Math.floor(Math.random() * fleet.endpoints.length); // members spread over the servers
  }

  /** Of this host, as it was read last. */
  get certificate(): FleetConfig['certificate'] {
    return this.#fleet.certificate;
  }

  /** Asks one server after another, each at most once. @throws what the last one failed with, or what one of them has answered */
  async call<T>(question: (etcd: Etcd3, deadline: number) => Promise<T>): Promise<T> {
    let left = this.#fleet.endpoints.length;
    for (let isSpare = true; ; ) {
      const etcd = this.#connected();
      try {
        return await question(etcd, Date.now() + ANSWER_MS);
      } catch (error) {
        if (!isFault(error) || this.#isClosed) throw error;
        // Another question has left this server meanwhile, and ended this one by that.
        if (this.#etcd !== etcd && isSpare) isSpare = false;
        else left--;
        this.#leave(etcd);
        if (left === 0) throw error;
      }
    }
  }

  /**
   * Tells of every change below `key`, up to `end`; and once when it has begun to.
   * @param ended it does not any more, and has to be begun again; not after its end was asked for
   * @returns ends it
   */
  watch(key: Buffer, end: Buffer, changed: () => void, ended: () => void): () => void {
    let isEnded = false;
    let cancel = (): void => undefined;
    const finish = (): void => {
      if (isEnded) return;
      stop();
      ended();
    };
    const stop = (): void => {
      isEnded = true;
      this.#watches.delete(finish);
      cancel();
    };
    this.#watches.add(finish);
    const begin = async (): Promise<void> => {
      const etcd = this.#connected();
      const stream = await etcd.watchClient.watch();
      stream
        .on('data', (response: IWatchResponse) => (response.canceled ? finish() : changed()))
        .on('error', () => {
          if (isEnded) return; // so ends one that was cancelled, too
          this.#leave(etcd);
          finish();
        })
        .on('end', finish);
      cancel = () => {
        stream.end(); // else the library takes the end for a fault, and closes the channels of all questions
        stream.cancel();
      };
      if (isEnded) cancel();
      else stream.write({ create_request: { key, range_end: end } } satisfies IWatchRequest);
    };
    begin().catch(finish);
    return stop;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#etcd !== undefined) this.#leave(this.#etcd);
  }

  #connected(): Etcd3 {
    if (this.#isClosed) throw new ClientClosedError('closed');
    this.#etcd ??= this.#connect();
    return this.#etcd;
  }

  #connect(): Etcd3 {
    try {
      this.#fleet = this.#read();
    } catch {
      // A file is just being replaced, or is gone: what was read before may do.
    }
    const { endpoints, authorities, certificate } = this.#fleet;
    const endpoint = endpoints[this.#turn % endpoints.length]!;
    const own = certificate && Buffer.from(certificate.reveal());
    return this.#open({
      hosts: endpoint,
      ...(endpoint.startsWith('https:') && {
        credentials: {
          rootCertificate: authorities && Buffer.from(authorities.reveal()),
          ...(own && { privateKey: own, certChain: own }),
        } as { rootCertificate: Buffer },
      }),
      faultHandling: { host: () => ONCE, global: ONCE },
      grpcOptions: {
        'grpc.keepalive_time_ms': KEEPALIVE_MS,
        'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
        'grpc.max_reconnect_backoff_ms': RECONNECT_MS,
        'grpc.max_receive_message_length': FLEET_ANSWER_BYTES_MAX,
      },
    });
  }

  /** The next question goes to the next server; watches at this one end. */
  #leave(etcd: Etcd3): void {
    if (this.#etcd !== etcd) return;
    this.#etcd = undefined;
    this.#turn++;
    for (const end of [...this.#watches]) end();
    etcd.close();
  }
}

/** Whether a server has failed, rather than answered something that nobody likes. */
function isFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    isRecoverableError(error) ||
    error instanceof GRPCDeadlineExceededError ||
    error instanceof ClientClosedError
  );
}
