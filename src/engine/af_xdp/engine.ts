/**
 * The af_xdp engine: the TypeScript pipeline at full speed, over the rings of AF_XDP sockets.
 *
 *   interface -> driver -> anyhop_steer --not for a VIP--> host
 *                              |
 *                              +--> queue 0's rings <-> worker 0      each worker a thread, pinned to a core,
 *                              +--> queue 1's rings <-> worker 1      which runs the pipeline over its own rings
 *
 * This file is the main thread's part: it sets up, publishes, counts and cleans up. Forwarding ends with the process.
 *
 * An image has two readers, the steering program and the workers, and neither may be ahead of the other:
 *   1. The steering program no longer steers VIPs that go; after a barrier no packet of theirs is on its way to a ring.
 *   2. The workers forward what is in their rings by the old image, and switch to the new one.
 *   3. The steering program steers VIPs that come.
 * So a worker never meets a packet for a VIP that its image does not know, and that it could not give back to the host.
 */
import type { CaptureFilter } from '../../capture/record.js';
import { AnyhopError, EXIT } from '../../core/errors.js';
import { L } from '../../core/layout.gen.js';
import { Barrier } from '../../ffi/barrier.js';
import { interfaceQueues, prepareWorkerCalls, XdpSocket } from '../../ffi/xsk.js';
import { Counters } from '../../forward/counters.js';
import { makeGuardState, moveServiceStates } from '../../forward/guard-state.js';
import type { Image } from '../../image/read.js';
import { type InterfaceLock, lockInterface } from '../../underlay/lock.js';
import { AttachmentWatch } from '../attachment-watch.js';
import { type Recording, recordingOf } from '../capture/recording.js';
import { RecordRing } from '../capture/ring.js';
import type { Engine, EngineCounters, EngineSettings } from '../contract.js';
import { counterMoves } from '../counter-moves.js';
import { listsIn, StateDefence, sharedMemory } from '../defence.js';
import { ending } from '../ending.js';
import { searchPart } from '../maps/forward-maps.js';
import { Forwarder, sharedImage } from './forwarder.js';
import { type Guard, guardSockets } from './guard.js';
import { afXdpUnreachable, requireReach } from './reach.js';
import { FRAMES_PER_QUEUE, type PreparedInterface, requireAfXdp } from './requirements.js';
import { findsAllOf, findsVip, searchWithout } from './search.js';
import { Steering } from './steering.js';

/** Interval of looks for new queues of the interface. */
const QUEUES_MS = 1000;

/** `localVips`: VIPs may be addresses of the host, which must not answer for them when this process is killed. */
export type AfXdpOptions = Omit<EngineSettings, 'bpffs' | 'force'>;

/** The state between `start` and `stop`. */
interface Running {
  readonly interface: PreparedInterface;
  readonly steering: Steering;
  readonly forwarders: Forwarder[];
  readonly guard: Guard | undefined;
  image: Image;
}

export class AfXdpEngine implements Engine {
  readonly name = 'af_xdp';
  readonly sends = 'frame';
  readonly logsLosses = false;
  readonly program = undefined;
  readonly unreachable = afXdpUnreachable;
  readonly #end = ending();
  readonly finished = this.#end.promise;
  readonly #options: AfXdpOptions;
  readonly #guardState = makeGuardState();
  readonly defence = new StateDefence(
    () => ({ image: this.#started.image, state: this.#guardState, counters: this.counters() }),
    (lists) => this.#publishLists(lists),
  );
  #lock: InterfaceLock | undefined;
  #running: Running | undefined;
  #publishing: Promise<void> | undefined;
  #watch: AttachmentWatch | undefined;
  #queueTimer: NodeJS.Timeout | undefined;
  #isRecording = false;
  /** Defined once the end has begun. */
  #takenBack: Promise<void> | undefined;
  /** The final counts, once everything is closed. */
  #last: { readonly counters: Counters; readonly engine: EngineCounters } | undefined;
  #mode = '';

  constructor(options: AfXdpOptions) {
    this.#options = options;
  }

  get mode(): string {
    return this.#mode;
  }

  get detached(): string | undefined {
    return this.#watch?.detached;
  }

  /** Forwarding ends with the process, even a killed one. */
  async predecessor(): Promise<undefined> {
    return undefined;
  }

  async start(image: Image, lists?: Uint8Array): Promise<void> {
    if (this.#lock !== undefined) throw new Error('the engine has been started already');
    this.#lock = await lockInterface('run', this.#options.interface);
    const sockets: XdpSocket[] = [];
    const forwarders: Forwarder[] = [];
    let steering: Steering | undefined;
    let guard: Guard | undefined;
    try {
      const prepared = await requireAfXdp(this.#options);
      const { link, queues, frameBytes } = prepared;
      requireReach(image, link);
      if (this.#options.localVips) guard = await guardSockets(link.name, image);
      steering = new Steering(link, queues);
      const bytes = { frameBytes, frames: FRAMES_PER_QUEUE, headroom: L.HEADROOM };
      let zeroCopy = true;
      for (let queue = 0; queue < queues; queue++) {
        const socket = new XdpSocket({ interfaceIndex: link.index, queue, ...bytes });
        sockets.push(socket);
        zeroCopy = socket.bind(steering.mode === 'generic') && zeroCopy;
        steering.connect(socket);
      }
      await this.#startForwarders(sockets, forwarders, image, link.index);
      if (lists !== undefined) {
        const shared = sharedMemory(lists);
        await Promise.all(forwarders.map((forwarder) => forwarder.publishLists(shared)));
        this.defence.lists = listsIn(new Uint8Array(shared));
      }
      await steering.publish(searchPart(image));
      this.#running = { interface: prepared, steering, forwarders, guard, image };
      this.#describe(this.#running, zeroCopy);
    } catch (error) {
      steering?.close();
      for (const forwarder of forwarders) await forwarder.close();
      for (const socket of sockets.slice(forwarders.length)) socket.close();
      await guard?.release();
      await this.#lock.release();
      this.#lock = undefined;
      throw error;
    }
    for (const { failed } of forwarders) failed.catch((reason: unknown) => this.#fail(reason));
    const attached = steering;
    this.#watch = new AttachmentWatch({
      link: this.#started.interface.link,
      log: this.#options.log,
      changed: this.#options.changed,
      isAttached: () => attached.isAttached(),
      attach: () => attached.attachAgain(),
      lost: (reason) => this.#fail(reason),
    });
    this.#queueTimer = setInterval(() => this.#lookAtQueues(), QUEUES_MS).unref();
  }

  publish(image: Image): Promise<void> {
    this.#publishing = this.#publish(image);
    return this.#publishing;
  }

  async #publish(image: Image): Promise<void> {
    if (this.#takenBack !== undefined) throw new Error('the engine has been stopped');
    const running = this.#started;
    const { steering, forwarders, image: former } = running;
    if (image.generation < former.generation) {
      throw new RangeError(`generation ${image.generation} is older than the live one, ${former.generation}`);
    }
    requireReach(image, running.interface.link);
    await running.guard?.publish(image);
    if (findsAllOf(image, former)) {
      await Promise.all(this.#take(forwarders, image, former));
    } else {
      const search = searchPart(former);
      await steering.publish(searchWithout(former, search, (vip) => !findsVip(image, former, vip)));
      await new Barrier().over();
      await Promise.all(this.#take(forwarders, image, former));
    }
    await steering.publish(searchPart(image));
    running.image = image;
  }

  async #publishLists(compiled: Uint8Array | undefined): Promise<void> {
    if (this.#takenBack !== undefined) throw new Error('the engine has been stopped');
    const lists = compiled === undefined ? null : sharedMemory(compiled);
    await Promise.all(this.#started.forwarders.map((forwarder) => forwarder.publishLists(lists)));
  }

  /** In the first queue's worker: all workers do the same. */
  async tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#started.forwarders[0].tryFrame(frame);
  }

  async record(filter: CaptureFilter): Promise<Recording> {
    if (this.#isRecording) throw new Error('somebody records already');
    const { forwarders } = this.#started;
    this.#isRecording = true;
    const end = async (): Promise<void> => {
      await Promise.all(forwarders.map((forwarder) => forwarder.record(null)));
      this.#isRecording = false;
    };
    const memories = forwarders.map(() => RecordRing.memory());
    await Promise.all(
      forwarders.map((forwarder, queue) => forwarder.record({ ring: memories[queue], filter, queue })),
    );
    return recordingOf(
      memories.map((memory) => new RecordRing(memory)),
      end,
    );
  }

  counters(): Counters {
    if (this.#last !== undefined) return this.#last.counters;
    const { image, steering, forwarders } = this.#started;
    const sum = new Counters();
    sum.grow(image.serviceCounters, image.backendCounters);
    sum.add(steering.counters());
    for (const forwarder of forwarders) sum.add(forwarder.counters());
    return sum;
  }

  async engineCounters(): Promise<EngineCounters> {
    if (this.#last !== undefined) return this.#last.engine;
    const { steering, forwarders } = this.#started;
    const sum = { received: 0, sent: 0, sendFailed: 0, missed: steering.missed() };
    for (const forwarder of forwarders) {
      const { queued, unqueued, stray } = forwarder.tally();
      const { dropped, rxRingFull, refused } = forwarder.losses();
      sum.received += forwarder.counters().total();
      sum.sent += queued - refused;
      sum.sendFailed += unqueued + refused;
      sum.missed += dropped + rxRingFull + stray;
    }
    return sum;
  }

  async stop(): Promise<void> {
    await this.#takeBack();
    await this.#lock?.release();
    this.#end.resolve();
  }

  async leave(): Promise<boolean> {
    await this.stop();
    return false;
  }

  /** One after the other: each worker loads ffi-rs again, which does not support concurrent loads. */
  async #startForwarders(
    sockets: readonly XdpSocket[],
    forwarders: Forwarder[],
    parsed: Image,
    firstCore: number,
  ): Promise<void> {
    prepareWorkerCalls();
    const image = sharedImage(parsed);
    const { busyPollUs } = this.#options;
    const guardState = this.#guardState;
    for (const socket of sockets) {
      // From the interface's number on, so that the engines of several interfaces do not all begin at the same core.
      const core = firstCore + socket.queue;
      forwarders.push(await Forwarder.start({ socket, core, busyPollUs, image, parsed, guardState }));
    }
  }

  #take(forwarders: readonly Forwarder[], parsed: Image, former: Image): Promise<void>[] {
    const image = sharedImage(parsed);
    const moves = counterMoves(former, parsed);
    if (moves !== undefined) moveServiceStates(this.#guardState, moves.services, former.serviceCounters);
    return forwarders.map((forwarder) => forwarder.publish(parsed, image, moves));
  }

  #describe({ steering, forwarders, interface: { link } }: Running, zeroCopy: boolean): void {
    const { log } = this.#options;
    const count = forwarders.length === 1 ? '1 queue' : `${forwarders.length} queues`;
    this.#mode = `${zeroCopy ? 'zero copy' : 'copy mode'}, ${steering.mode} XDP, ${count}`;
    const { refusal } = steering;
    if (refusal !== undefined) {
      log.warn({ event: 'generic_xdp', hint: refusal.hint }, `${refusal.message}; generic XDP instead`);
    }
    const cores = forwarders.map(({ core }) => core);
    log.info({ event: 'attached', mode: this.#mode, cores }, `af_xdp on ${link.name}: ${this.#mode}`);
  }

  /** Returns packets for VIPs to the host, forwards what is in the rings, and closes everything. */
  #takeBack(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return Promise.resolve();
    this.#takenBack ??= (async () => {
      this.#watch?.close();
      clearInterval(this.#queueTimer);
      const { steering, forwarders, guard } = running;
      await this.#publishing?.catch(() => undefined); // its caller hears of a failure; it must not steer again after the next line
      const { image } = running;
      await steering.publish(searchWithout(image, searchPart(image), () => true));
      await new Barrier().over();
      for (const forwarder of forwarders) await forwarder.close();
      this.#last = { counters: this.counters(), engine: await this.engineCounters() };
      steering.close();
      await guard?.release();
    })();
    return this.#takenBack;
  }

  #lookAtQueues(): void {
    const { interface: prepared } = this.#started;
    const { name } = prepared.link;
    if (queuesOf(name) <= prepared.queues) return;
    // Packets of the new queues would meet no socket.
    this.#fail(
      new AnyhopError('ERR_INTERFACE', `${name} has more receive queues than when the engine started`, {
        hint: 'Start again: there is a worker for each queue that is there at the start.',
        exitCode: EXIT.failure,
      }),
    );
  }

  /** A queue without a worker would lose every packet; the host at least refuses connections. */
  #fail(reason: unknown): void {
    if (this.#takenBack !== undefined) return; // it ends anyway
    const end = (): void => this.#end.reject(reason);
    this.#takeBack().then(end, end);
  }

  get #started(): Running {
    if (this.#running === undefined) throw new Error('the engine has not been started');
    return this.#running;
  }
}

/** 0 when the interface is gone: the attachment watch reports that. */
function queuesOf(name: string): number {
  try {
    return interfaceQueues(name).receive;
  } catch (error) {
    if (error instanceof AnyhopError) return 0;
    throw error;
  }
}
