/**
 * The worker of one receive queue, in a thread of its own: it owns the socket's rings and runs the pipeline over them.
 *
 *     packets -> batch, kick, batch, kick ...            busy: no call but one kick a batch
 *     none for busyPollUs -> sleep in poll()             idle: woken by a packet, by the main thread, or to look round
 *
 * An image is taken between two batches. What lies in the RX ring at that moment was steered here by what the former image
 * knew, so it is forwarded by that one first.
 */

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { monotonicMs } from '../../core/clock.js';
import { L } from '../../core/layout.gen.js';
import { pinThread, WorkerSocket } from '../../ffi/xsk.js';
import { Counters } from '../../forward/counters.js';
import { Lists, NO_LISTS } from '../../forward/lists.js';
import { Pipeline } from '../../forward/pipeline.js';
import { tryFrame } from '../../forward/try-frame.js';
import { Image } from '../../image/read.js';
import { RecordRing } from '../capture/ring.js';
import { Tap } from '../capture/tap.js';
import { moveCounters } from '../counter-moves.js';
import { ForwardingLoop } from './loop.js';
import type { RecordSetup, SharedImage, WorkerMail, WorkerReport, WorkerSetup } from './mail.js';
import { RecordingLoop } from './recording-loop.js';
import { Ring } from './ring.js';

/**
 * Frames between two kicks. A kick through ffi-rs costs 2.5 us: 10 ns a frame at 256. More would keep frames waiting for
 * longer than a round trip in the same rack takes.
 */
const BATCH_FRAMES = 256;
/** Bound of a sleep; nothing depends on it but how soon a vanished interface is noticed. */
const SLEEP_MS = 100;
/** The same while the kernel has not taken all that is to be sent. */
const SLEEP_UNSENT_MS = 1;
/** How long a worker that stops waits for the kernel to take what is still to be sent. */
const UNSENT_AT_STOP_MS = 100;

const setup: WorkerSetup = workerData;
const port = parentPort!;
const core = pinThread(setup.core);
const socket = new WorkerSocket(setup.place);
const { rings } = setup.place;
const rx = new Ring(socket.ring('rx'), rings.rx, 'consumer');
const tx = new Ring(socket.ring('tx'), rings.tx, 'producer');
const fill = new Ring(socket.ring('fill'), rings.fill, 'producer');
const completion = new Ring(socket.ring('completion'), rings.completion, 'consumer');
const counters = new Counters(setup.verdicts);
counters.moveTo(setup);
const pipeline = new Pipeline(new Image(setup.image), counters, setup.guardState);
const frames = new DataView(socket.umem);
const memory = { frames, rx, tx, fill, completion };
const loop = new ForwardingLoop(memory, pipeline, setup.tally);
/** While somebody captures, it takes the place of the loop. */
let recording: RecordingLoop | undefined;

report({ core });
run();

function run(): void {
  const busyPollMs = setup.busyPollUs / 1000;
  let mailSeen = 0;
  let busyUntil = 0;
  for (;;) {
    const mail = Atomics.load(setup.mailbox, 0);
    if (mail !== mailSeen) {
      mailSeen = mail;
      if (!readMail()) return;
    }
    const now = performance.now();
    pipeline.tick = Math.floor(now / L.BUDGET_TICK_MS);
    pipeline.setClock(monotonicMs());
    if (turn(BATCH_FRAMES) > 0) busyUntil = now + busyPollMs;
    else if (now >= busyUntil) socket.wait(tx.pending() > 0 ? SLEEP_UNSENT_MS : SLEEP_MS);
  }
}

/** Forwards a batch, and wakes the kernel where it asks for that. @returns the number of frames */
function turn(limit: number): number {
  const count = recording === undefined ? loop.batch(limit) : recording.batch(limit);
  const receive = fill.needsWakeup();
  if (receive || (tx.pending() > 0 && tx.needsWakeup())) socket.kick(receive);
  return count;
}

/** @returns false when the end has come */
function readMail(): boolean {
  for (;;) {
    const received: { message: WorkerMail } | undefined = receiveMessageOnPort(port);
    if (received === undefined) return true;
    drain();
    if (received.message === 'stop') {
      sendTheRest();
      return false;
    }
    if ('frame' in received.message)
      report({ tried: tryFrame(new Pipeline(pipeline.image), received.message.frame) ?? null });
    else if ('record' in received.message) record(received.message.record);
    else if ('lists' in received.message) takeLists(received.message.lists);
    else take(received.message);
  }
}

/** Forwards what is in the RX ring now, but not what comes in meanwhile. */
function drain(): void {
  for (let left = rx.available(); left > 0; ) left -= turn(Math.min(left, BATCH_FRAMES));
}

function take({ image, moves, ...memory }: SharedImage): void {
  if (moves === undefined) counters.moveTo(memory);
  else moveCounters(counters, moves, memory);
  const next = new Image(image);
  pipeline.publish(next);
  report({ generation: next.generation });
}

function takeLists(memory: SharedArrayBuffer | null): void {
  pipeline.lists = memory === null ? NO_LISTS : new Lists(memory);
  report({ lists: true });
}

function record(asked: RecordSetup | null): void {
  if (asked === null) recording = undefined;
  else {
    const tap = new Tap(pipeline, new RecordRing(asked.ring), asked.filter, asked.queue);
    recording = new RecordingLoop(memory, loop, tap, setup.tally);
  }
  report({ records: asked !== null });
}

function sendTheRest(): void {
  const end = performance.now() + UNSENT_AT_STOP_MS;
  while (tx.pending() > 0 && performance.now() < end) {
    socket.kick(false);
    socket.wait(SLEEP_UNSENT_MS);
  }
}

function report(message: WorkerReport): void {
  port.postMessage(message);
}
