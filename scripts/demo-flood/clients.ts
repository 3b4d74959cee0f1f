/**
 * The clients' program: `clients.js PLAN`, a ClientPlan in JSON (survive/crowd.ts).
 *
 * It chooses addresses and ports itself, one after the other, even connections for IPv4 and odd ones for IPv6. No pair of address
 * and port is used twice, so none can be in TIME_WAIT.
 */
import { runCrowd } from '../survive/crowd.js';
import { HttpConnection } from './http.js';
import type { ClientPlan } from './journal.js';

const PORT_FIRST = 10_000;
const PORT_LAST = 65_535;

const plan: ClientPlan = JSON.parse(process.argv[2]!);
runCrowd({
  ...plan,
  // A short connection is called on as often as a held one: no matter, since it asks by itself.
  turnMs: plan.askEveryMs,
  open(number, kind, observer) {
    const family = number % 2 === 0 ? 4 : 6;
    const addresses = plan.addresses[family];
    const localAddress = addresses[(number >> 1) % addresses.length]!;
    const localPort = PORT_FIRST + Math.floor((number >> 1) / addresses.length);
    if (localPort > PORT_LAST) throw new RangeError('the clients have used all their ports');
    const to = { kind, family, host: plan.vips[family], port: plan.port, localAddress, localPort } as const;
    return new HttpConnection(to, observer);
  },
});
