/**
 * The client's program: `client.js PLAN`, a TrafficPlan in JSON (crowd.ts).
 *
 * It chooses the local ports, one after the other, even ones for IPv4 and odd ones for IPv6. A run needs some thousands, so
 * none is used twice and none can be in TIME_WAIT; and the name of a connection that nobody accepted is known too.
 */
import { Connection } from './connection.js';
import { runCrowd } from './crowd.js';
import type { TrafficPlan } from './traffic.js';

/** A message each: two and a half a second. */
const TURN_MS = 400;
const SHORT_MESSAGES_MAX = 3;
const PORT_FIRST = 20_000;
const PORT_LAST = 65_535;

const plan: TrafficPlan = JSON.parse(process.argv[2]!);
runCrowd({
  ...plan,
  turnMs: TURN_MS,
  open(number, kind, observer, nowMs) {
    const family = number % 2 === 0 ? 4 : 6;
    const localPort = PORT_FIRST + number;
    if (localPort > PORT_LAST) throw new RangeError('the client has used all its ports');
    const messages =
      kind === 'held' ? Number.POSITIVE_INFINITY : 1 + ((number - plan.held) % SHORT_MESSAGES_MAX);
    const to = { kind, family, host: plan.vips[family], port: plan.port, localPort, messages } as const;
    return new Connection(to, observer, nowMs);
  },
});
