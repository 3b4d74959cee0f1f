/**
 * Sends the frames of a capture file on an interface, as they are, through npm `cap`:
 *
 *   ip netns exec NAMESPACE node build/test/packets/inject.js INTERFACE FILE [FRAMES_PER_SECOND [ROUNDS]]
 *
 * The rate is an upper bound (1000 unless given): frames go out in bursts of a millisecond's worth. Stamps in the file
 * do not count. Prints one JSON line, { sent, failed, seconds }: the kernel refuses frames shorter than an Ethernet
 * header or longer than the MTU, which counts as failed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import cap from 'cap';
import { readCapture } from '#anyhop/packet/capture.js';

const [interfaceName, file, rateText = '1000', roundsText = '1'] = process.argv.slice(2);
const rate = Number(rateText);
const rounds = Number(roundsText);
if (interfaceName === undefined || file === undefined || !(rate > 0) || !(rounds > 0)) {
  process.stderr.write('usage: inject.js INTERFACE FILE [FRAMES_PER_SECOND [ROUNDS]]\n');
  process.exit(2);
}

const frames = Array.from(readCapture(file), ({ frame }) => Buffer.from(frame));
const device = new cap.Cap();
// Opening is capturing: a filter that nothing passes keeps the frames of others away.
device.open(interfaceName, 'less 1', 64 * 1024, Buffer.alloc(1));

let sent = 0;
let failed = 0;
const start = performance.now();
for (let round = 0; round < rounds; round++) {
  for (const frame of frames) {
    while (sent + failed >= ((performance.now() - start) * rate) / 1000) await delay(1);
    try {
      device.send(frame, frame.length);
      sent++;
    } catch {
      failed++;
    }
  }
}
device.close();
console.log(JSON.stringify({ sent, failed, seconds: (performance.now() - start) / 1000 }));
