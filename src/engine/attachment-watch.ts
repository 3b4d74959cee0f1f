/**
 * Looks whether an engine's program is still on its interface, and puts it back when somebody has taken it off: by force
 * (`bpftool link detach`), for links keep others away. While another program has the place, the engine takes no packets and
 * says so; it takes the place back when that is free. An interface that is gone ends the engine: another one under its name
 * is another interface.
 */
import { AnyhopError, EXIT } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { attachedXdp } from '../ffi/bpf.js';
import { type Link, readLinks } from '../underlay/link.js';

/** How often: a look takes 10 us. */
const LOOK_MS = 200;
/** A program that was put back counts as attached again after this time. */
const STAYS_MS = 1_000;

export interface AttachmentWatchOptions {
  readonly link: Pick<Link, 'name' | 'index'>;
  readonly log: Logger;
  readonly isAttached: () => boolean;
  /** Attaches the program again. @throws Error why that cannot be */
  readonly attach: () => void;
  /** The interface is gone. */
  readonly lost: (reason: AnyhopError) => void;
}

export class AttachmentWatch {
  readonly #options: AttachmentWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #detached: string | undefined;
  #backSinceMs: number | undefined;

  constructor(options: AttachmentWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Why the program takes no packets, or has only just begun to again; undefined when all is well. */
  get detached(): string | undefined {
    return this.#detached;
  }

  look(nowMs = performance.now()): void {
    const { link, log, isAttached } = this.#options;
    if (!isAttached()) {
      this.#putBack(nowMs);
    } else if (this.#backSinceMs !== undefined && nowMs - this.#backSinceMs >= STAYS_MS) {
      this.#backSinceMs = this.#detached = undefined;
      log.info({ event: 'attached_again', interface: link.name }, `the program is on ${link.name} again`);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #putBack(nowMs: number): void {
    const { link, attach, lost } = this.#options;
    this.#backSinceMs = undefined;
    let other: ReturnType<typeof attachedXdp>;
    try {
      other = attachedXdp(link.index);
    } catch {
      this.close();
      lost(interfaceGone(link.name));
      return;
    }
    if (other !== undefined) {
      const whose = `${other.name ?? 'name unknown'}, id ${other.id}`;
      this.#tell(`another XDP program (${whose}) is on ${link.name} in place of this node's`);
      return;
    }
    try {
      attach();
      this.#backSinceMs = nowMs;
      this.#tell(`the program was taken off ${link.name}; it was put back a moment ago`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#tell(`the program was taken off ${link.name} and cannot be put back: ${why}`);
      void this.#endWhenGone();
    }
  }

  /** The kernel says nothing of its own about an interface that is not there. */
  async #endWhenGone(): Promise<void> {
    const { link, lost } = this.#options;
    const links = await readLinks().catch(() => undefined); // asked again with the next look
    if (links === undefined || [...links.values()].some(({ index }) => index === link.index)) return;
    this.close();
    lost(interfaceGone(link.name));
  }

  /** Once for each reason. */
  #tell(why: string): void {
    if (why === this.#detached && this.#backSinceMs === undefined) return;
    this.#detached = why;
    const { link, log } = this.#options;
    log.error({ event: 'detached', interface: link.name, why }, why);
  }
}

function interfaceGone(name: string): AnyhopError {
  return new AnyhopError('ERR_INTERFACE', `the interface ${name} is gone, and the program with it`, {
    hint: 'Start again when it is back.',
    exitCode: EXIT.failure,
  });
}
