/**
 * A process for host-namespace.test.ts: guards the host as the portable engine does, captures, and listens on UDP.
 *
 *   guard-process.js INTERFACE VIP...
 *
 * Prints `guarded ...` or the error; then `seen PORT` for each UDP packet that libpcap sees and `got PORT` for each
 * datagram that a socket on port 9000 of any address receives, by source port. SIGUSR2 releases the guard (`released`),
 * SIGTERM does so and ends.
 */
import { createSocket } from 'node:dgram';
import cap from 'cap';
import { guardHost } from '#anyhop/engine/portable/host.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { decodeFrame } from '../packets/decode.js';

const [interfaceName = '', ...vips] = process.argv.slice(2);

try {
  const guard = await guardHost(interfaceName, { vips: vips.map((text) => parseAddress(text)!), macs: [] });
  const buffer = Buffer.alloc(65535);
  const device = new cap.Cap();
  // In libpcap's language what follows `vlan` looks behind a tag.
  device.open(interfaceName, 'udp or (vlan and udp)', 1024 * 1024, buffer);
  device.on('packet', (length) => {
    const transport = decodeFrame(buffer.subarray(0, length)).packet?.transport;
    if (transport?.kind === 'udp') console.log(`seen ${transport.sport}`);
  });
  const socket = createSocket('udp6');
  socket.on('message', (_, { port }) => console.log(`got ${port}`));
  await new Promise<void>((resolve) => socket.bind(9000, resolve));
  process.on('SIGUSR2', () => void guard.release().then(() => console.log('released')));
  process.once('SIGTERM', () => void guard.release().finally(() => process.exit(0)));
  console.log(`guarded, off: ${guard.switchedOff.join(' ')}, ${guard.replacedStale ? 'stale' : 'fresh'}`);
} catch (error) {
  console.log((error as Error).message);
  process.exitCode = 1;
}
