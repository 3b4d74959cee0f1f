/**
 * The other end of a forwarder's link: sends numbered packets at a steady rate, and has an XDP program write down what comes
 * back (native/dev/witness.bpf.c).
 *
 *   witness-process.js INTERFACE PACKETS_MAX PACKETS_PER_SECOND [OFFSET]
 *
 * Requests over the IPC channel: { start: frames }, which are sent in turn, each packet with its number as the TCP sequence
 * number, or at another offset in the frame; { stop: true }, answered with what came back, by number. Ends with the channel.
 */
import { setTimeout as delay } from 'node:timers/promises';
import cap from 'cap';
import { attach } from '../../scripts/native/attached.js';
import { DevObject, devObjectPath } from '../../scripts/native/object.js';

export type WitnessRequest = { readonly start: readonly Uint8Array[] } | { readonly stop: true };

export interface Witnessed {
  readonly sent: number;
  /** Refused by the kernel: numbers of their own, among those that were sent. */
  readonly refused: number;
  /** By number two words: how often it came; last byte of the MAC address << 8 | last byte of the outer destination. */
  readonly seen: Uint32Array;
}

/** A veth's ring holds 256: who was late does not catch up at once. */
const BURST_MAX = 64;
/** Time for what is on its way. */
const SILENCE_MS = 100;

const [interfaceName = '', packetsMaxText, rateText, offsetText] = process.argv.slice(2);
const packetsMax = Number(packetsMaxText);
const rate = Number(rateText);
/** Ethernet, IPv4, and the ports, unless told otherwise. */
const sequenceOffset = Number(offsetText ?? 14 + 20 + 4);

const object = new DevObject(devObjectPath('witness'), { entries: { seen: packetsMax } });
attach(interfaceName, object, 'witness');
const seen = new Uint32Array(object.memory('seen'));

const device = new cap.Cap();
// Opening is capturing: a filter that nothing passes keeps the frames of others away.
device.open(interfaceName, 'less 1', 64 * 1024, Buffer.alloc(1));
let sent = 0;
let refused = 0;
let sending: Promise<void> = Promise.resolve();
let isStopped = false;

process.on('message', async (request: WitnessRequest) => {
  if ('start' in request) {
    sending = send(request.start.map((bytes) => Buffer.from(bytes)));
    process.send!({ value: undefined });
    return;
  }
  isStopped = true;
  await sending;
  await delay(SILENCE_MS);
  process.send!({ value: { sent, refused, seen: seen.slice(0, 2 * sent) } satisfies Witnessed });
});
process.on('disconnect', () => process.exit());
process.send!({ value: 'ready' });

async function send(frames: readonly Buffer[]): Promise<void> {
  let last = performance.now();
  let due = 0;
  while (!isStopped) {
    await delay(1);
    const now = performance.now();
    due = Math.min(due + ((now - last) * rate) / 1000, BURST_MAX);
    last = now;
    for (; due >= 1; due--) {
      if (sent === packetsMax) return;
      const frame = frames[sent % frames.length];
      frame.writeUInt32BE(sent, sequenceOffset);
      sent++;
      try {
        device.send(frame, frame.length);
      } catch {
        refused++;
      }
    }
  }
}
