/**
 * The xdp engine: a program in the kernel decides on every packet where the driver hands it over, by images in memory that
 * this process shares with it. The process sets it up, publishes and counts; forwarding goes on without it.
 *
 *   interface -> driver -> anyhop_forward -> XDP_TX or XDP_REDIRECT     (native/bpf/forward.bpf.c)
 *                              |     ^
 *                       counters     images            maps in memory (engine/maps)
 *                              v     |
 *                             this process, or its successor: all of it is pinned (pinned-set.ts)
 *
 * A start looks at what is in force (in-force.ts):
 *  - nothing: it loads, pins and attaches the program.
 *  - this version's program, with room for the image: it adopts the program and publishes. Packets see only another image.
 *  - anything else (another version, another layout, too little room): it replaces the program behind the same link.
 * The same replacement serves `publish` when an image has outgrown the maps.
 */
import { monotonicMs } from '../../core/clock.js';
import { VERDICTS } from '../../core/layout.gen.js';
import { SerialQueue } from '../../core/serial-queue.js';
import { Barrier } from '../../ffi/barrier.js';
import { Counters } from '../../forward/counters.js';
import { Pipeline } from '../../forward/pipeline.js';
import { tryFrame } from '../../forward/try-frame.js';
import { imageBackends } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import { findAttachment } from '../../pins/attachment.js';
import { endsWithProcess, type Place, removePinDirectory } from '../../pins/directory.js';
import { sweep } from '../../pins/find.js';
import { PinKeeper } from '../../pins/keeper.js';
import { lessBaseline, readStatistics } from '../../underlay/driver-statistics.js';
import { type InterfaceLock, lockInterface } from '../../underlay/lock.js';
import { AttachmentWatch } from '../attachment-watch.js';
import type { Engine, EngineCounters, EngineSettings } from '../contract.js';
import { counterMoves } from '../counter-moves.js';
import { listsIn, StateDefence } from '../defence.js';
import { ending } from '../ending.js';
import { fits } from '../maps/sizes.js';
import { requireNoProgram } from '../requirements.js';
import { detach, findSet } from './attachment.js';
import { attachAgain, attachFirst, type InForce, pinMissing, replaceSet, takeOver } from './in-force.js';
import { xdpUnreachable } from './reach.js';
import { LISTS_OUTGROWN } from './replacement.js';
import type { PreparedPlace } from './requirements.js';

export type XdpOptions = Place & Pick<EngineSettings, 'force' | 'log' | 'changed'>;

/** Interval of looks at the pins. */
const PIN_WATCH_MS = 1_000;

/** The state between `start` and `stop`. */
interface Running {
  readonly inForce: InForce;
  readonly outlives: boolean;
  /** Whether the next process would find all of it, as of the last look. */
  isPinned: boolean;
}

/** What is told once the engine has ended. */
interface Last extends Pick<InForce, 'mode'> {
  readonly program: number | undefined;
  readonly counters: Counters;
  readonly engine: EngineCounters;
}

export class XdpEngine implements Engine {
  readonly name = 'xdp';
  readonly sends = 'xdp';
  readonly logsLosses = false;
  readonly unreachable = xdpUnreachable;
  readonly #end = ending();
  readonly finished = this.#end.promise;
  readonly #options: XdpOptions;
  readonly #place: PreparedPlace;
  #lock: InterfaceLock | undefined;
  #running: Running | undefined;
  #last: Last | undefined;
  #watch: AttachmentWatch | undefined;
  readonly #pins: PinKeeper;
  #pinWatch: NodeJS.Timeout | undefined;
  readonly #publishing = new SerialQueue();
  #ending: Promise<void> | undefined;

  /** @param place by `requireXdp` */
  constructor(options: XdpOptions, place: PreparedPlace) {
    this.#options = options;
    this.#place = place;
    this.#pins = new PinKeeper('anyhop', options.bpffs, options.log);
  }

  get mode(): string {
    return (this.#last ?? this.#running?.inForce)?.mode ?? '';
  }

  get detached(): string | undefined {
    return this.#watch?.detached;
  }

  get program(): number | undefined {
    if (this.#last !== undefined) return this.#last.program;
    return this.#running?.isPinned === true ? this.#running.inForce.attachment.programId : undefined;
  }

  async predecessor(): Promise<Image | undefined> {
    const { link, directory } = this.#place;
    const attachment = findAttachment(directory, link.index);
    if (attachment === undefined) return undefined;
    const set = findSet(directory, attachment, this.#options.log);
    attachment.link.descriptor.close();
    const image = set?.maps.image();
    set?.close();
    return image;
  }

  async start(image: Image, lists?: Uint8Array): Promise<void> {
    if (this.#lock !== undefined) throw new Error('the engine has been started already');
    const { log, bpffs, force } = this.#options;
    this.#lock = await lockInterface('run', this.#options.interface);
    try {
      const { link, directory } = this.#place;
      const outlives = await this.#preparePins(directory);
      const attachment = findAttachment(directory, link.index);
      if (attachment === undefined) requireNoProgram(link); // one may have come meanwhile
      const inForce =
        attachment === undefined
          ? await attachFirst(image, this.#place, bpffs, log, lists)
          : await takeOver(image, this.#place, attachment, force, log, lists);
      this.#running = { inForce, outlives, isPinned: outlives };
      this.defence.lists = listsIn(lists ?? inForce.set.defence?.lists());
      this.#lookAfter(this.#running);
    } catch (error) {
      await this.#lock.release();
      this.#lock = undefined;
      throw error;
    }
  }

  publish(image: Image): Promise<void> {
    return this.#publishing.add(() => this.#publish(image));
  }

  async #publish(image: Image): Promise<void> {
    const { inForce } = this.#started;
    const { log, changed } = this.#options;
    if (this.#ending !== undefined) throw new Error('the engine ends');
    if (image.generation < inForce.image.generation) {
      throw new RangeError(
        `generation ${image.generation} is older than ${inForce.image.generation}, which is in force`,
      );
    }
    if (counterMoves(inForce.image, image) !== undefined)
      await replaceSet(inForce, image, 'counters have new numbers', log, changed);
    else if (fits(image, inForce.set.about.sizes)) await inForce.set.maps.publish(image.bytes);
    else await replaceSet(inForce, image, 'the image has outgrown the maps', log, changed);
    inForce.image = image;
  }

  async #publishLists(lists: Uint8Array | undefined): Promise<void> {
    const { inForce } = this.#started;
    const { log, changed } = this.#options;
    if (this.#ending !== undefined) throw new Error('the engine ends');
    const { defence } = inForce.set;
    if (defence !== undefined && (lists === undefined || defence.hasRoom(lists)))
      await defence.publishLists(lists);
    else await replaceSet(inForce, inForce.image, LISTS_OUTGROWN, log, changed, lists);
  }

  async tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined> {
    const { set, image } = this.#started.inForce;
    const { defence } = set;
    // By what rules have counted before, which the program adds to.
    const reference = new Pipeline(
      image,
      new Counters(),
      image.rulesWord === 0 ? undefined : defence?.state.slice(),
    );
    reference.lists = listsIn(defence?.lists());
    reference.setClock(monotonicMs());
    const { action, frame: left } = set.program.testRun(frame);
    tryFrame(reference, frame);
    set.maps.uncount(reference.counters); // the program has counted the same
    return action === 'tx' || action === 'redirect' ? left : undefined;
  }

  readonly defence = new StateDefence(
    () => {
      const { image, set } = this.#started.inForce;
      return { image, state: set.defence!.state, counters: this.counters() };
    },
    (lists) => this.#publishing.add(() => this.#publishLists(lists)),
  );

  counters(): Counters {
    if (this.#last !== undefined) return this.#last.counters;
    const { handover, set, image } = this.#started.inForce;
    handover?.carry();
    return set.maps.counters(image.serviceCounters, image.backendCounters);
  }

  async engineCounters(): Promise<EngineCounters> {
    if (this.#last !== undefined) return this.#last.engine;
    const { set, image, link, attachment } = this.#started.inForce;
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
    const outlives = running?.outlives === true && this.#keepPinned(running.inForce);
    if (running?.outlives === true && !outlives) {
      const { directory, link } = running.inForce;
      const text = `forwarding on ${link.name} ends: its pins in ${directory} are gone, and cannot be made again`;
      this.#options.log.error({ event: 'not_left', directory }, text);
    }
    if (!outlives) await this.stop();
    else await this.#finish(({ attachment }) => attachment.link.descriptor.close(), true);
    return outlives;
  }

  /** Ends this process's part, once; what was counted by then can still be asked for. */
  #finish(letGo: (inForce: InForce) => void, goesOn = false): Promise<void> {
    this.#ending ??= this.#finishOnce(letGo, goesOn);
    return this.#ending;
  }

  async #finishOnce(letGo: (inForce: InForce) => void, goesOn: boolean): Promise<void> {
    this.#watch?.close();
    clearInterval(this.#pinWatch);
    await this.#publishing.idle();
    const inForce = this.#running?.inForce;
    try {
      if (inForce !== undefined) {
        const engine = await this.engineCounters();
        letGo(inForce);
        await new Barrier().over();
        const program = goesOn ? inForce.attachment.programId : undefined;
        this.#last = { mode: inForce.mode, program, counters: this.counters(), engine };
        this.#running = undefined;
        inForce.set.close();
      }
    } finally {
      await this.#lock?.release();
      this.#end.resolve();
    }
  }

  /** Reports on the BPF file system, and clears it of what nobody uses. @returns whether pins outlive this process */
  async #preparePins(directory: string): Promise<boolean> {
    const { log, bpffs } = this.#options;
    const outlives = !endsWithProcess(bpffs);
    if (!outlives) {
      log.warn(
        { event: 'bpffs_private', bpffs },
        `the BPF file system at ${bpffs} belongs to this process's own mount namespace: forwarding ends with the process. ` +
          `Mount one outside before the start: mount -t bpf bpf ${bpffs}`,
      );
    }
    await sweep(bpffs, directory, 'anyhop', log);
    return outlives;
  }

  #keepPinned(inForce: InForce): boolean {
    return this.#pins.keep(inForce.directory, () => pinMissing(inForce));
  }

  /** Others may detach the program, or remove its pins. */
  #lookAfter(running: Running): void {
    const { inForce, outlives } = running;
    const { log, changed } = this.#options;
    const { link } = inForce;
    this.#watch = new AttachmentWatch({
      link,
      log,
      changed,
      isAttached: () => inForce.attachment.link.info().interfaceIndex === link.index,
      attach: () => attachAgain(inForce, log),
      lost: (reason) => this.#end.reject(reason),
    });
    const keep = (): void => {
      if (inForce.handover !== undefined) return;
      const isPinned = this.#keepPinned(inForce);
      if (isPinned === running.isPinned) return;
      running.isPinned = isPinned;
      changed?.();
    };
    if (outlives) this.#pinWatch = setInterval(keep, PIN_WATCH_MS).unref();
  }

  get #started(): Running {
    if (this.#running === undefined) throw new Error('the engine has not been started');
    return this.#running;
  }
}
