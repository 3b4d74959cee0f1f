/**
 * Watches the certificate directories of the frontends, so that a hook which renews certificates need tell nobody. Looks every two seconds
 * whether a file was written, renamed or removed; a file that is being written is looked at again when it has grown. Also says which
 * certificates have expired or expire soon.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { L7Config } from '../config/l7/types.js';
import { isSystemError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { ExpiryReminder, expiring, sentenceOf } from './certificate-expiry.js';
import { Repeated } from './repeated.js';
import type { Tier } from './tier.js';

const LOOK_MS = 2_000;
/** After HAProxy refused them, or could not be asked. */
const RETRY_MS = 30_000;

export class CertificateWatch {
  readonly #tier: Tier;
  readonly #log: Logger;
  readonly #looks: Repeated;
  readonly #reminder = new ExpiryReminder();
  #seen: string;
  #retryAtMs = Number.POSITIVE_INFINITY;

  constructor(tier: Tier, log: Logger) {
    this.#tier = tier;
    this.#log = log;
    this.#seen = signature(tier.config.l7);
    this.#looks = new Repeated({
      what: 'the look at certificates',
      everyMs: () => LOOK_MS,
      task: () => this.#look(),
      log,
    });
    this.#remind();
  }

  close(): Promise<void> {
    return this.#looks.close();
  }

  async #look(): Promise<void> {
    const now = signature(this.#tier.config.l7);
    if (now !== this.#seen || performance.now() >= this.#retryAtMs) await this.#renew(now);
    this.#remind();
  }

  /** Refused ones are not read again every two seconds. */
  async #renew(seen: string): Promise<void> {
    // Before they are read: what is written meanwhile is seen at the next look.
    this.#seen = seen;
    this.#retryAtMs = performance.now() + RETRY_MS;
    await this.#tier.renewCertificates();
    this.#retryAtMs = Number.POSITIVE_INFINITY;
  }

  #remind(): void {
    const now = new Date();
    for (const one of this.#reminder.due(expiring(this.#tier.inputs.certificates, now), now)) {
      const { frontend, file, expiry } = one;
      const fields = { event: 'l7_certificate_expires', frontend, file, notAfter: one.notAfter } as const;
      if (expiry === 'expired') this.#log.error(fields, sentenceOf(one));
      else this.#log.warn(fields, sentenceOf(one));
    }
  }
}

/** What shows that a file was written, renamed or removed, without reading it. */
function signature({ frontends }: L7Config): string {
  return frontends
    .flatMap(({ certificates }) =>
      certificates === undefined ? [] : [certificates, ...entries(certificates)],
    )
    .join('\n');
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.pem'))
      .sort()
      .map((name) => `${name} ${state(join(directory, name))}`);
  } catch (error) {
    return [codeOf(error)]; // told when it is read
  }
}

/** Of what a link leads to. */
function state(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  if (!isSystemError(error)) throw error;
  return error.code ?? 'error';
}
