/** The way of one process to the simulated store, on which messages are late or lost. */
import { EventEmitter } from 'node:events';
import {
  type Etcd3,
  EtcdLeaseInvalidError,
  GRPCDeadlineExceededError,
  GRPCUnavailableError,
  type ITxnRequest,
} from 'etcd3';
import { ANSWER_MS } from '#anyhop/fleet/client.js';
import type { SimulatedClock } from './clock.js';
import { below, ROOT, type SimulatedEtcd, textOf } from './etcd.js';

/** Of TCP. */
const AGAIN_MS = 1_000;

/** What a process is held up at, once. */
export interface Stall {
  /** The transaction that writes there. */
  readonly at: string;
  readonly ms: number;
  /** Whether the process stands still with it, or only this message is late, however long its sender waits for the answer. */
  readonly all: boolean;
  /** After a late message so many others are answered, and then nothing arrives; when left out, everything does. */
  readonly answered?: number;
}

export class Link {
  readonly #etcd: SimulatedEtcd;
  readonly #clock: SimulatedClock;
  /** Nothing arrives. */
  isCut = false;
  /** Share of messages that are lost. */
  loss = 0;
  /** Its process is killed: nobody waits for answers. */
  isDead = false;
  /** Since when every question was answered. */
  cleanSinceMs: number;
  /** Its watches tell nothing, and do not end. */
  isSilent = false;
  /** Until when its process stands still, as one of a suspended machine does: it sends nothing, and hears nothing. */
  stillUntilMs = 0;
  stall: Stall | undefined;
  #answersLeft: number | undefined;

  constructor(etcd: SimulatedEtcd) {
    this.#etcd = etcd;
    this.#clock = etcd.clock;
    this.cleanSinceMs = etcd.clock.nowMs;
  }

  /** Whether it gets an answer to what it asks now. */
  get reaches(): boolean {
    return !this.isCut && !this.isDead && this.loss === 0 && this.#etcd.isUp;
  }

  connect(): Etcd3 {
    const ask = <T>(answer: () => T): Promise<T> => this.#ask(answer);
    const etcd = this.#etcd;
    return {
      kv: { txn: (request: ITxnRequest) => this.#askTxn(request) },
      leaseClient: {
        leaseGrant: ({ TTL }: { TTL: number }) => ask(() => ({ ID: etcd.grant(TTL) })),
        leaseRevoke: ({ ID }: { ID: string }) => ask(() => etcd.revoke(ID)),
        leaseKeepAlive: async () => {
          const stream = new EventEmitter();
          return Object.assign(stream, {
            write: ({ ID }: { ID: string }) => {
              ask(() => ({ TTL: etcd.keepAlive(ID) })).then(
                (answer) => stream.emit('data', answer),
                (error) => stream.emit('error', error),
              );
            },
            end: () => undefined,
          });
        },
      },
      watchClient: { watch: async () => this.#watch() },
      close: () => undefined,
    } as unknown as Etcd3;
  }

  #watch() {
    const stream = new EventEmitter();
    // TCP sends again what is lost, for as long as the connection lives.
    const tell = (ms = this.#delayMs()): void => {
      if (this.isSilent) return;
      this.#clock.after(ms, () => {
        if (this.isDead || isEnded) return;
        if (this.isCut || this.#clock.chance() < this.loss) tell(AGAIN_MS);
        else stream.emit('data', {});
      });
    };
    let isEnded = false;
    let end = (): void => undefined;
    return Object.assign(stream, {
      write: ({
        create_request: { key, range_end },
      }: {
        create_request: { key: Buffer; range_end: Buffer };
      }) => {
        this.#ask(() => {
          const registered = { isBelow: below(key, range_end), tell };
          this.#etcd.watches.add(registered);
          end = () => this.#etcd.watches.delete(registered);
        }).then(
          () => stream.emit('data', {}),
          (error) => stream.emit('error', error),
        );
      },
      end: () => undefined,
      cancel: () => {
        isEnded = true;
        end();
      },
    });
  }

  #askTxn(request: ITxnRequest): Promise<ReturnType<SimulatedEtcd['txn']>> {
    const { stall } = this;
    const isStalled = request.success?.some(
      ({ request_put: put }) => put && textOf(put.key) === ROOT + stall?.at,
    );
    if (stall !== undefined && isStalled) {
      this.stall = undefined;
      if (!stall.all) {
        this.#answersLeft = stall.answered;
        return this.#late(() => this.#etcd.txn(request), stall.ms);
      }
      this.stillUntilMs = this.#clock.nowMs + stall.ms;
    }
    return this.#ask(() => this.#etcd.txn(request));
  }

  /** It arrives when nobody waits for it any more. */
  #late(question: () => unknown, ms: number): Promise<never> {
    this.#etcd.onTheWay++;
    this.#clock.after(ms, () => {
      this.#etcd.onTheWay--;
      try {
        if (this.#etcd.isUp) question();
      } catch (error) {
        if (!(error instanceof EtcdLeaseInvalidError)) throw error;
      }
    });
    return this.#fails(this.#clock.nowMs);
  }

  async #ask<T>(answer: () => T): Promise<T> {
    await this.#moves();
    try {
      return await this.#asked(answer);
    } finally {
      await this.#moves();
    }
  }

  async #moves(): Promise<void> {
    const leftMs = this.stillUntilMs - this.#clock.nowMs;
    if (leftMs > 0) await this.#clock.sleep(leftMs);
  }

  /** There and back. */
  async #asked<T>(answer: () => T): Promise<T> {
    const startMs = this.#clock.nowMs;
    if (this.#answersLeft !== undefined && this.#answersLeft-- === 0) this.isCut = true;
    const isThere = await this.#goes(startMs);
    if (!isThere) return this.#fails(startMs);
    if (!this.#etcd.isUp) {
      this.cleanSinceMs = this.#clock.nowMs;
      throw new GRPCUnavailableError('14 UNAVAILABLE');
    }
    const found = answer();
    return (await this.#goes(startMs)) ? found : this.#fails(startMs);
  }

  async #goes(startMs: number): Promise<boolean> {
    await this.#clock.sleep(this.#delayMs());
    if (this.isDead) return new Promise<never>(() => undefined);
    return !this.isCut && this.#clock.chance() >= this.loss && this.#clock.nowMs - startMs < ANSWER_MS;
  }

  async #fails(startMs: number): Promise<never> {
    await this.#clock.sleep(startMs + ANSWER_MS - this.#clock.nowMs);
    this.cleanSinceMs = this.#clock.nowMs;
    throw new GRPCDeadlineExceededError('4 DEADLINE_EXCEEDED');
  }

  /** Most are fast, and some are not. */
  #delayMs(): number {
    const chance = this.#clock.chance();
    return chance < 0.9 ? 5 : 5 + 400 * this.#clock.chance();
  }
}
