/**
 * Sends TCP segments from a raw socket: send-process.js COUNT FROM TO. Prints as JSON how many the kernel refused, by its reasons.
 */
import { parseAddress } from '#anyhop/packet/address.js';
import { P } from '#anyhop/packet/constants.js';
import { composeTcp } from '#anyhop/packet/tcp.js';
import { loadRawSockets } from '#anyhop/underlay/raw-socket.js';

const [count = '', from = '', to = ''] = process.argv.slice(2);
const [source, destination] = [from, to].map((text) => ({ address: parseAddress(text)!, port: 7 }));
const segment = { sequence: 0, acknowledgment: 0, flags: P.TCP_RST };
const packet = Buffer.from(composeTcp(source, destination, segment));
const sender = (await loadRawSockets('this test needs')).openSender(source.address.family);
const refusals: Record<string, number> = {};
for (let i = 0; i < Number(count); i++) {
  const refusal = sender.send(packet, 0, packet.length, to);
  if (refusal !== undefined) refusals[refusal] = (refusals[refusal] ?? 0) + 1;
}
sender.close();
process.stdout.write(`${JSON.stringify(refusals)}\n`);
