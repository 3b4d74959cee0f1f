/**
 * What makes entries of the store go away when whoever wrote them does: etcd forgets a lease that is not kept alive, and all that was
 * written with it. A lease here lasts over a time without the store: when etcd has forgotten it, the next entry gets a new one.
 */
import { castGrpcError, EtcdLeaseInvalidError, type ILeaseKeepAliveResponse } from 'etcd3';
import type { StoreClient } from './client.js';

const RETRY_MS = 1_000;
/** How long an end may take; then the lease ends by itself. */
const REVOKE_MS = 1_000;
/** How much of its time may be lost at most without a loss. */
const SPARE_SECONDS = 20;

export interface Lease {
  /** Of a lease that lives. @throws when the store does not answer */
  id(): Promise<string>;
  /** etcd does not know it any more: the next entry gets a new one. */
  forget(): void;
  /** What was written with it goes away at once. */
  revoke(): Promise<void>;
  /** Called when it was lost: what was written with it is gone. */
  lost: () => void;
}

export class StoreLease implements Lease {
  readonly #client: StoreClient;
  readonly #seconds: number;
  #id: Promise<string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  lost: () => void = () => undefined;

  constructor(client: StoreClient, seconds: number) {
    this.#client = client;
    this.#seconds = seconds;
  }

  id(): Promise<string> {
    if (this.#isClosed) return Promise.reject(new Error('the lease has ended'));
    this.#id ??= this.#grant();
    return this.#id;
  }

  forget(): void {
    clearTimeout(this.#timer);
    this.#id = undefined;
  }

  async revoke(): Promise<void> {
    this.release();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, REVOKE_MS);
    });
    const revoked = async (): Promise<void> => {
      const id = await this.#id;
      if (id !== undefined) await this.#client.call(({ leaseClient }) => leaseClient.leaseRevoke({ ID: id }));
    };
    await Promise.race([revoked().catch(() => undefined), late]); // the store is away: it ends by itself
    clearTimeout(timer);
  }

  /** It is not kept alive any more. */
  release(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #grant(): Promise<string> {
    const granted = this.#client.call(async ({ leaseClient }, deadline) => {
      const { ID } = await leaseClient.leaseGrant({ TTL: this.#seconds }, { deadline });
      return ID;
    });
    granted.then(
      (id) => this.#arm(id, this.#beatMs),
      () => {
        if (this.#id === granted) this.#id = undefined;
      },
    );
    return granted;
  }

  get #beatMs(): number {
    return 1000 * Math.max(this.#seconds / 2, this.#seconds - SPARE_SECONDS);
  }

  #arm(id: string, ms: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#keepAlive(id).then(
        () => this.#arm(id, this.#beatMs),
        (error: unknown) => {
          if (this.#isClosed) return;
          if (!(error instanceof EtcdLeaseInvalidError)) {
            this.#arm(id, RETRY_MS); // the store is away
            return;
          }
          this.forget();
          this.lost();
        },
      );
    }, ms).unref();
  }

  /** @throws EtcdLeaseInvalidError when it is lost; and as the client does */
  async #keepAlive(id: string): Promise<void> {
    const { TTL } = await this.#client.call(async ({ leaseClient }, deadline) => {
      const stream = await leaseClient.leaseKeepAlive({ deadline });
      return await new Promise<ILeaseKeepAliveResponse>((resolve, reject) => {
        stream
          .on('data', resolve)
          .on('error', (error) => reject(castGrpcError(error)))
          .on('end', () => reject(new Error('no answer')));
        stream.write({ ID: id });
        stream.end();
      });
    });
    if (TTL === '0') throw new EtcdLeaseInvalidError(id);
  }
}
