/**
 * The xdp engine: a program in the kernel decides on every packet where the driver hands it over, by images in memory that
 * this process shares with it. The process sets it up, publishes, counts; forwarding needs it no more.
 *
 *   interface -> driver -> anyhop_forward -> XDP_TX or XDP_REDIRECT     (native/bpf/forward.bpf.c)
 *                              |     ^
 *                       counters     images            maps in memory (engine/maps)
 *                              v     |
 *                             this process, or its successor: all of it is pinned (pinned-set.ts)
 *
 * A start looks at what is in force:
 *  - nothing: load, pin, attach.
 *  - this version's program, with room for the image: adopt it, publish. Not one packet sees a difference but the image.
 *  - anything else (another version, a layout of its own, too little room): load and pin beside it, put it behind the same link
 *    in one step, carry the counters over (handover.ts).
 * The same replacement serves `publish` when an image has outgrown the maps.
 */
import { unlinkSync } from 'node:fs';
import { AnyhopError } from '../../core/errors.js';
import { VERDICTS } from '../../core/layout.gen.js';
import { Barrier } from '../../ffi/barrier.js';
import type { Counters } from '../../forward/counters.js';
import { Pipeline } from '../../forward/pipeline.js';
import { tryFrame } from '../../forward/try-frame.js';
import { imageBackends } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import { type Attachment, attach, attachProgram, findAttachment, linkPath } from '../../pins/attachment.js';
import {
  endsWithProcess,
  entries,
  isBpffs,
  makePinDirectory,
  removePinDirectory,
} from '../../pins/directory.js';
import { sweep } from '../../pins/find.js';
import { type DriverStatistics, lessBaseline, readStatistics } from '../../underlay/driver-statistics.js';
import type { Link } from '../../underlay/link.js';
import { type InterfaceLock, lockInterface } from '../../underlay/lock.js';
import { AttachmentWatch } from '../attachment-watch.js';
import type { Engine, EngineCounters, EngineSettings, Place } from '../contract.js';
import { counterMoves } from '../counter-moves.js';
import { ending } from '../ending.js';
import { fits, sizesFor } from '../maps/sizes.js';
import { detach, findSet, removeStale } from './attachment.js';
import { Handover } from './handover.js';
import { PinKeeper } from './pin-keeper.js';
import { listSets, PinnedSet, removeSet } from './pinned-set.js';
import { xdpUnreachable } from './reach.js';
import { replacementReason } from './replacement.js';
import { requireXdp } from './requirements.js';

export type XdpOptions = Place & Pick<EngineSettings, 'log'>;

/** How often the engine looks whether its pins are there. */
const PIN_WATCH_MS = 1_000;

/** What there is between `start` and `stop`. */
interface Running {
  readonly link: Link;
  readonly directory: string;
  attachment: Attachment;
  readonly outlives: boolean;
  set: PinnedSet;
  image: Image;
  /** While counters are on their way from the set before. */
  handover: Handover | undefined;
}

export class XdpEngine implements Engine {
  readonly name = 'xdp';
  readonly sends = 'xdp';
  readonly logsLosses = false;
  readonly unreachable = xdpUnreachable;
  readonly #end = ending();
  readonly finished = this.#end.promise;
  readonly #options: XdpOptions;
  #lock: InterfaceLock | undefined;
  #running: Running | undefined;
  #last: { readonly counters: Counters; readonly engine: EngineCounters } | undefined;
  #watch: AttachmentWatch | undefined;
  readonly #pins: PinKeeper;
  #pinWatch: NodeJS.Timeout | undefined;
  #publishing: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;
  #mode = '';

  constructor(options: XdpOptions) {
    this.#options = options;
    this.#pins = new PinKeeper(options.bpffs, options.log);
  }

  get mode(): string {
    return this.#mode;
  }

  get detached(): string | undefined {
    return this.#watch?.detached;
  }

  async predecessor(): Promise<Image | undefined> {
    const { bpffs } = this.#options;
    if (!isBpffs(bpffs)) return undefined;
    const { link, directory } = await requireXdp(this.#options);
    const attachment = findAttachment(directory, link.index);
    if (attachment === undefined) return undefined;
    const set = findSet(directory, attachment, this.#options.log);
    attachment.link.descriptor.close();
    const image = set?.maps.image();
    set?.close();
    return image;
  }

  async start(image: Image): Promise<void> {
    if (this.#lock !== undefined) throw new Error('the engine has been started already');
    const { log, bpffs } = this.#options;
    this.#lock = await lockInterface('run', this.#options.interface);
    try {
      const { link, directory } = await requireXdp(this.#options);
      const outlives = !endsWithProcess(bpffs);
      if (!outlives) {
        log.warn(
          { event: 'bpffs_private', bpffs },
          `the BPF file system at ${bpffs} belongs to this process's own mount namespace: forwarding ends with the process. ` +
            `Mount one outside before the start: mount -t bpf bpf ${bpffs}`,
        );
      }
      const swept = await sweep(bpffs, directory);
      if (swept.length > 0) {
        const text = `removed the pins of interfaces that are gone: ${swept.join(', ')}`;
        log.info({ event: 'swept', directories: swept }, text);
      }
      const attachment = findAttachment(directory, link.index);
      const place = { link, directory, outlives };
      this.#running =
        attachment === undefined
          ? await this.#attach(image, place)
          : await this.#takeOver(image, { ...place, attachment });
    } catch (error) {
      await this.#lock.release();
      this.#lock = undefined;
      throw error;
    }
    const running = this.#running;
    const { link } = running;
    this.#watch = new AttachmentWatch({
      link,
      log,
      isAttached: () => running.attachment.link.info().interfaceIndex === link.index,
      attach: () => this.#attachAgain(running),
      lost: (reason) => this.#end.reject(reason),
    });
    const keep = (): unknown => running.handover === undefined && this.#pins.keep(running);
    if (running.outlives) this.#pinWatch = setInterval(keep, PIN_WATCH_MS).unref();
  }

  publish(image: Image): Promise<void> {
    const done = this.#publish(image);
    this.#publishing = done.catch(() => undefined); // the caller is told
    return done;
  }

  async #publish(image: Image): Promise<void> {
    const running = this.#started;
    if (this.#ending !== undefined) throw new Error('the engine ends');
    if (image.generation < running.image.generation) {
      throw new RangeError(
        `generation ${image.generation} is older than ${running.image.generation}, which is in force`,
      );
    }
    if (counterMoves(running.image, image) !== undefined)
      await this.#replace(running, image, 'counters have new numbers');
    else if (fits(image, running.set.about.sizes)) await running.set.maps.publish(image.bytes);
    else await this.#replace(running, image, 'the image has outgrown the maps');
    running.image = image;
  }

  async tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined> {
    const { set, image } = this.#started;
    const { action, frame: left } = set.program.testRun(frame);
    const reference = new Pipeline(image);
    tryFrame(reference, frame);
    set.maps.uncount(reference.counters); // the program has counted the same
    return action === 'tx' || action === 'redirect' ? left : undefined;
  }

  counters(): Counters {
    if (this.#last !== undefined) return this.#last.counters;
    const { handover, set, image } = this.#started;
    handover?.carry();
    return set.maps.counters(image.serviceCounters, image.backendCounters);
  }

  async engineCounters(): Promise<EngineCounters> {
    if (this.#last !== undefined) return this.#last.engine;
    const { set, image, link, attachment } = this.#started;
    const now = readStatistics(link.name);
    const { baseline } = set.about;
    // Failures of other interfaces, and of the stack's own sending, which generic XDP uses, are counted elsewhere.
    const isTold =
      attachment.mode === 'native' &&
      imageBackends(image).every(
        ({ interfaceIndex }) => interfaceIndex === 0 || interfaceIndex === link.index,
      );
    const sendFailed = isTold ? lessBaseline(now, baseline, 'sendFailed') : Number.NaN;
    const byAction = { forward: 0, answer: 0, pass: 0, drop: 0 };
    const { verdicts } = this.counters();
    for (const [number, { action }] of VERDICTS.entries()) byAction[action] += verdicts[number];
    return {
      received: byAction.forward + byAction.answer + byAction.drop,
      sent: byAction.forward + byAction.answer - sendFailed,
      sendFailed,
      missed: lessBaseline(now, baseline, 'missed'),
    };
  }

  async stop(): Promise<void> {
    await this.#finish(({ attachment, directory }) => {
      detach(attachment, directory);
      removePinDirectory(directory);
    });
  }

  async leave(): Promise<boolean> {
    const running = this.#running;
    const outlives = running?.outlives === true && this.#pins.keep(running);
    if (running?.outlives === true && !outlives) {
      const { directory, link } = running;
      const text = `forwarding on ${link.name} ends: its pins in ${directory} are gone, and cannot be made again`;
      this.#options.log.error({ event: 'not_left', directory }, text);
    }
    if (!outlives) await this.stop();
    else await this.#finish(({ attachment }) => attachment.link.descriptor.close());
    return outlives;
  }

  /** Ends this process's part, once; what was counted by then can still be asked for. */
  #finish(letGo: (running: Running) => void): Promise<void> {
    this.#ending ??= this.#finishOnce(letGo);
    return this.#ending;
  }

  async #finishOnce(letGo: (running: Running) => void): Promise<void> {
    this.#watch?.close();
    clearInterval(this.#pinWatch);
    await this.#publishing;
    const running = this.#running;
    try {
      if (running !== undefined) {
        const engine = await this.engineCounters();
        letGo(running);
        await new Barrier().over();
        this.#last = { counters: this.counters(), engine };
        this.#running = undefined;
        running.set.close();
      }
    } finally {
      await this.#lock?.release();
      this.#end.resolve();
    }
  }

  /** Nothing is in force yet. */
  async #attach(
    image: Image,
    place: Omit<Running, 'attachment' | 'set' | 'image' | 'handover'>,
  ): Promise<Running> {
    const { log, bpffs } = this.#options;
    const { link, directory } = place;
    if (removeStale(directory)) {
      log.warn(
        { event: 'stale_pins', directory },
        `pins without a program on ${link.name} were removed: ${directory}`,
      );
    }
    makePinDirectory(directory, bpffs);
    let set: PinnedSet | undefined;
    try {
      const baseline = readStatistics(link.name);
      set = await PinnedSet.create(directory, 1, image, {
        sizes: sizesFor(image),
        replaced: undefined,
        baseline,
      });
      const { refusal, ...attachment } = attach(set.program, link, directory);
      if (refusal !== undefined) {
        log.warn({ event: 'generic_xdp', hint: refusal.hint }, `${refusal.message}; generic XDP instead`);
      }
      this.#mode = refusal === undefined ? 'native XDP' : `generic XDP (${refusal.message})`;
      log.info({ event: 'attached', mode: attachment.mode, directory }, `${this.#mode} on ${link.name}`);
      return { ...place, attachment, set, image, handover: undefined };
    } catch (error) {
      set?.remove();
      removePinDirectory(directory);
      throw error;
    }
  }

  /** A process before this one left a program in force, which goes on until the image is published. */
  async #takeOver(image: Image, place: Omit<Running, 'set' | 'image' | 'handover'>): Promise<Running> {
    const { log } = this.#options;
    const { attachment, directory } = place;
    const set = findSet(directory, attachment, log);
    this.#mode = `${attachment.mode} XDP`;
    try {
      const former = set?.maps.image();
      if (set !== undefined && former !== undefined) await this.#tidy(directory, set, former);
      if (former !== undefined && image.generation < former.generation) {
        throw new RangeError(
          `generation ${image.generation} is older than ${former.generation}, which is in force`,
        );
      }
      const why = replacementReason(image, set, former);
      if (set !== undefined && why === undefined) {
        await set.maps.publish(image.bytes);
        log.info(
          { event: 'adopted', generation: image.generation, former: former!.generation },
          `adopted the program on ${place.link.name} without a gap: generation ${image.generation} took the place of ${former!.generation}`,
        );
        return { ...place, set, image, handover: undefined };
      }
      return await this.#replaceSet(place, set, image, why ?? 'what is in force cannot be read');
    } catch (error) {
      set?.close();
      attachment.link.descriptor.close();
      throw error;
    }
  }

  /** Ends what a process was killed in the middle of: carries counters to the set in force, and removes all others. */
  async #tidy(directory: string, inForce: PinnedSet, image: Image): Promise<void> {
    for (const number of listSets(directory)) {
      if (number === inForce.number) continue;
      if (number === inForce.about.replaced) {
        const former = openIfWhole(directory, number);
        if (former !== undefined) await new Handover(former, inForce, image, this.#options.log).finish();
      }
      removeSet(directory, number);
    }
  }

  async #replace(running: Running, image: Image, why: string): Promise<void> {
    const { set } = await this.#replaceSet(running, running.set, image, why, running);
    running.set = set;
  }

  /**
   * Puts a program with maps of its own in the place of the one in force.
   * @param running who is asked for counters meanwhile; undefined while starting
   */
  async #replaceSet(
    place: Omit<Running, 'set' | 'image' | 'handover'>,
    former: PinnedSet | undefined,
    image: Image,
    why: string,
    running?: Running,
  ): Promise<Running> {
    const { log } = this.#options;
    const { directory, attachment, link } = place;
    const others = listSets(directory);
    const baseline: DriverStatistics = former?.about.baseline ?? readStatistics(link.name);
    const set = await PinnedSet.create(directory, (others.at(-1) ?? 0) + 1, image, {
      sizes: sizesFor(image),
      replaced: former?.number,
      baseline,
    });
    const handover = former && new Handover(former, set, image, log);
    try {
      handover?.carry();
      attachment.link.replace(set.program);
    } catch (error) {
      set.remove();
      throw error;
    }
    if (running !== undefined) {
      running.set = set;
      running.image = image;
      running.handover = handover;
    }
    await handover?.finish();
    if (running !== undefined) running.handover = undefined;
    if (former === undefined) for (const number of others) removeSet(directory, number);
    log.info({ event: 'replaced', why }, `the program on ${link.name} was replaced without a gap: ${why}`);
    return { ...place, set, image, handover: undefined };
  }

  /** The link was detached by force, which it does not survive: another takes its place and its pin. */
  #attachAgain(running: Running): void {
    const { set, link, directory, attachment } = running;
    const { link: next, mode } = attachProgram(set.program, link);
    try {
      if (entries(directory).includes('link')) unlinkSync(linkPath(directory));
      next.descriptor.pin(linkPath(directory));
    } catch (error) {
      // It forwards all the same; what is missing is pinned when that can be.
      const why = error instanceof Error ? error.message : String(error);
      this.#options.log.warn(
        { event: 'not_pinned', directory, why },
        `the program on ${link.name} is not pinned: ${why}`,
      );
    }
    attachment.link.descriptor.close();
    running.attachment = { link: next, mode, programId: set.program.programId() };
    this.#mode = `${mode} XDP`;
  }

  get #started(): Running {
    if (this.#running === undefined) throw new Error('the engine has not been started');
    return this.#running;
  }
}

function openIfWhole(directory: string, number: number): PinnedSet | undefined {
  try {
    return PinnedSet.open(directory, number);
  } catch (error) {
    if (error instanceof AnyhopError) return undefined;
    throw error;
  }
}
