/**
 * Watches the certificate directories of the frontends. A new or changed certificate that can be used comes into force; one that
 * cannot leaves the former in force and is reported once. Looks every few seconds: a hook that renews certificates need tell nobody, and
 * a file that is being written is looked at again.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type LoadedCertificate, loadCertificates } from '../config/l7/certificates.js';
import type { L7Config } from '../config/l7/types.js';
import { isSystemError } from '../core/errors.js';
import type { Logger } from '../core/log.js';

/** By frontend. */
export type Certificates = ReadonlyMap<string, readonly LoadedCertificate[]>;

const LOOK_MS = 2_000;

/** @returns what the directories hold, and a sentence for each file that cannot be used */
export function readCertificates(config: L7Config): {
  readonly certificates: Certificates;
  readonly faults: readonly string[];
} {
  const certificates = new Map<string, readonly LoadedCertificate[]>();
  const faults: string[] = [];
  for (const { name, certificates: directory } of config.frontends) {
    if (directory === undefined) continue;
    const read = loadCertificates(directory);
    certificates.set(name, read.certificates);
    faults.push(...read.faults);
  }
  return { certificates, faults };
}

/**
 * What comes into force: certificates that were read, and of files that cannot be used now, the former ones.
 * @param isThere whether a file is still there
 */
export function keptCertificates(
  before: Certificates,
  read: Certificates,
  isThere: (path: string) => boolean,
): Certificates {
  return new Map(
    [...read].map(([frontend, certificates]) => {
      const paths = new Set(certificates.map(({ path }) => path));
      const kept = (before.get(frontend) ?? []).filter(({ path }) => !paths.has(path) && isThere(path));
      const all = [...certificates, ...kept].sort((a, b) => (a.path < b.path ? -1 : 1));
      // A frontend without any certificate would not start again.
      return [frontend, all.length > 0 ? all : (before.get(frontend) ?? [])];
    }),
  );
}

export function sameCertificates(a: Certificates, b: Certificates): boolean {
  const text = (certificates: Certificates): string =>
    [...certificates]
      .map(([name, list]) => [name, ...list.map(({ path, pem }) => `${path} ${pem.reveal()}`)].join('\n'))
      .join('\n\n');
  return text(a) === text(b);
}

export class CertificateWatch {
  readonly #log: Logger;
  readonly #changed: (next: Certificates) => Promise<void>;
  #config: L7Config;
  #seen: string;
  #told = '';
  #inForce: Certificates;
  #isLooking = false;
  readonly #timer: NodeJS.Timeout;

  /**
   * @param inForce what the frontends have now
   * @param changed puts other certificates in force
   */
  constructor(
    config: L7Config,
    inForce: Certificates,
    log: Logger,
    changed: (next: Certificates) => Promise<void>,
  ) {
    this.#log = log;
    this.#config = config;
    this.#inForce = inForce;
    this.#changed = changed;
    this.#seen = signature(config);
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** A reload put another config in force, with the certificates that were there. */
  follow(config: L7Config, inForce: Certificates): void {
    this.#config = config;
    this.#inForce = inForce;
    this.#seen = signature(config);
  }

  async look(): Promise<void> {
    if (this.#isLooking) return;
    const now = signature(this.#config);
    if (now === this.#seen) return;
    this.#isLooking = true;
    try {
      const { certificates, faults } = readCertificates(this.#config);
      this.#tell(faults);
      const next = keptCertificates(this.#inForce, certificates, isFile);
      if (!sameCertificates(this.#inForce, next)) await this.#changed(next);
      this.#inForce = next;
      this.#seen = now;
    } finally {
      this.#isLooking = false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** The same faults are not told again at each look. */
  #tell(faults: readonly string[]): void {
    const text = faults.join('; ');
    if (text !== this.#told && text !== '')
      this.#log.warn(
        { event: 'certificate_refused', faults },
        `certificates that cannot be used, so the former stay in force: ${text}`,
      );
    this.#told = text;
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
      .map((name) => {
        const { ino, size, mtimeMs, ctimeMs } = statSync(join(directory, name));
        return `${name} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
      });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return [error.code ?? 'error']; // told when it is read
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
