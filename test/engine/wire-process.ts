/**
 * The other end of an engine's link: sends frames and keeps those that come back.
 *
 *   wire-process.js INTERFACE FILTER
 *
 * Requests over the IPC channel, one at a time: { send: frames } and { take: count, milliseconds }, which answers with
 * the frames that have come in since the last one, once there are so many or the time is up. Ends with the channel.
 */
import cap from 'cap';

export type WireRequest =
  | { readonly send: readonly Uint8Array[] }
  | { readonly take: number; readonly milliseconds: number };

/** Frames sent in one go; then the event loop gets a turn. The engine's ring has to hold them. */
const BURST_FRAMES = 32;

const [interfaceName = '', filter = ''] = process.argv.slice(2);
const buffer = Buffer.alloc(65535);
const device = new cap.Cap();
device.open(interfaceName, filter, 16 * 1024 * 1024, buffer);
let taken: Uint8Array[] = [];
device.on('packet', (length) => taken.push(Uint8Array.from(buffer.subarray(0, length))));

process.on('message', async (request: WireRequest) => {
  process.send!({ value: 'send' in request ? await send(request.send) : await take(request) });
});
process.on('disconnect', () => process.exit());
process.send!({ value: 'ready' });

async function send(frames: readonly Uint8Array[]): Promise<void> {
  for (const [i, bytes] of frames.entries()) {
    device.send(Buffer.from(bytes), bytes.length);
    if (i % BURST_FRAMES === BURST_FRAMES - 1) await new Promise((go) => setTimeout(go, 1));
  }
}

async function take({ take, milliseconds }: { take: number; milliseconds: number }): Promise<Uint8Array[]> {
  const end = performance.now() + milliseconds;
  while (taken.length < take && performance.now() < end) await new Promise((go) => setTimeout(go, 5));
  const frames = taken;
  taken = [];
  return frames;
}
