/**
 * Looks whether an engine's program is still on its interface, and puts it back when somebody has taken it off, by force
 * (`bpftool link detach`). While another program has the place, the engine takes no packets and says so. It takes the place back
 * when that is free. An interface that is gone ends the engine: another one under its name is another interface.
 */
import { AnyhopError, EXIT } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { attachedXdp } from '../ffi/bpf.js';
import { type Link, readLinks } from '../underlay/link.js';
import { Presence } from './presence.js';

/** How often: a look takes 10 us. */
const LOOK_MS = 200;

export interface AttachmentWatchOptions {
  readonly link: Pick<Link, 'name' | 'index'>;
  readonly log: Logger;
  /** Called when `detached` has changed. */
  readonly changed?: (() => void) | undefined;
  readonly isAttached: () => boolean;
  /** Attaches the program again. @throws Error why that cannot be */
  readonly attach: () => void;
  /** The interface is gone. */
  readonly lost: (reason: AnyhopError) => void;
}

export class AttachmentWatch {
  readonly #options: AttachmentWatchOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #presence: Presence;

  constructor(options: AttachmentWatchOptions) {
    this.#options = options;
    const { link, log, changed } = options;
    this.#presence = new Presence({ what: 'the program', interface: link.name, log, changed });
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Why the program takes no packets, or has only just begun to again; undefined when all is well. */
  get detached(): string | undefined {
    return this.#presence.detached;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { link, isAttached, attach, lost } = this.#options;
    if (isAttached()) {
      this.#presence.isThere();
      return;
    }
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
      this.#presence.isGone(`another XDP program (${whose}) is on ${link.name} in place of this node's`);
      return;
    }
    try {
      attach();
      this.#presence.isGone(`the program was taken off ${link.name}; it was put back a moment ago`);
      this.#presence.isThere();
    } catch (error) {
      this.#presence.isGone(
        `the program was taken off ${link.name} and cannot be put back: ${reasonOf(error)}`,
      );
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
}

function interfaceGone(name: string): AnyhopError {
  return new AnyhopError('ERR_INTERFACE', `the interface ${name} is gone, and the program with it`, {
    hint: 'Start again when it is back.',
    exitCode: EXIT.failure,
  });
}
