/**
 * A program for the network tests: one end of a link at layer 2. Run as `node wire.js INTERFACE FILTER`, it sends each
 * line of its standard input, a frame in hex, and prints each received frame that the libpcap filter lets through.
 */
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

/** The part of npm `cap` that is used here; it ships no types. */
interface Capture {
  open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
  send(buffer: Buffer, length: number): void;
  on(event: 'packet', listener: (length: number) => void): void;
  close(): void;
}

const [device, filter] = process.argv.slice(2);
const { Cap } = createRequire(import.meta.url)('cap') as { Cap: new () => Capture };
const capture = new Cap();
const buffer = Buffer.alloc(65535);
capture.open(device, filter, 1024 * 1024, buffer);
capture.on('packet', (length) => process.stdout.write(`${buffer.toString('hex', 0, length)}\n`));
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const frame = Buffer.from(line, 'hex');
    capture.send(frame, frame.length);
  })
  .on('close', () => capture.close());
process.stdout.write('open\n');
