/**
 * Asks a DNS server on 127.0.0.1 port 53 and prints each answer: `TIME ADDRESS TTL`, or `TIME none` when none came in time.
 *   dns-process.js NAME TYPE SOURCE COUNT        COUNT questions at once, 50 at a time
 *   dns-process.js NAME TYPE SOURCE watch        one each 10 ms, until it is ended
 */
import { createSocket, type Socket } from 'node:dgram';

const [name = '', type = 'A', source = '127.0.0.1', count = '1'] = process.argv.slice(2);
const TYPES: Readonly<Record<string, number>> = { A: 1, AAAA: 28 };
const TIMEOUT_MS = 1_000;

function question(id: number): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const head = Buffer.from([id >> 8, id & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, TYPES[type]!, 0, 1])]);
}

/** The first answer of the type that was asked for: names in answers are pointers of two bytes here. */
function answer(message: Buffer): string {
  let at = 12;
  while (message[at] !== 0) at += message[at]! + 1;
  at += 5;
  if (message.readUInt16BE(6) === 0) return 'empty';
  const bytes = message.subarray(at + 12, at + 12 + message.readUInt16BE(at + 10));
  const address = type === 'A' ? [...bytes].join('.') : bytes.toString('hex');
  return `${address} ${message.readUInt32BE(at + 6)}`;
}

const waiting = new Map<number, (text: string) => void>();
let ids = 0;

function ask(socket: Socket): Promise<string> {
  ids = (ids + 1) % 65536;
  const id = ids;
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('none'), TIMEOUT_MS);
    waiting.set(id, (text) => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.send(question(id), 53, '127.0.0.1');
  }).then((text) => {
    waiting.delete(id);
    return `${Date.now()} ${text}\n`;
  });
}

const socket = createSocket('udp4');
socket.on('error', () => undefined); // refused: nobody answers, which is said
socket.on('message', (message) => waiting.get(message.readUInt16BE(0))?.(answer(message)));
socket.bind(0, source, async () => {
  if (count === 'watch') setInterval(() => void ask(socket).then((line) => process.stdout.write(line)), 10);
  else {
    for (let left = Number(count); left > 0; left -= 50)
      process.stdout.write(
        (await Promise.all(Array.from({ length: Math.min(50, left) }, () => ask(socket)))).join(''),
      );
    socket.close();
  }
});
