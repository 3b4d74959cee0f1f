/**
 * The client's program: `client.js PLAN`, a TrafficPlan in JSON (crowd.ts).
 *
 * It chooses the local ports, one after the other, even ones for IPv4 and odd ones for IPv6. So the name of a connection that nobody
 * accepted is known too. There are so many that one is out of TIME_WAIT long before it is used again, if ever.
 */
import { Connection } from './connection.js';
import { runCrowd } from './crowd.js';
import type { TrafficPlan } from './traffic.js';

/** A message each: two and a half a second. */
const TURN_MS = 400;
const SHORT_MESSAGES_MAX = 3;
const PORT_FIRST = 20_000;
const PORTS = 45_000;

const plan: TrafficPlan = JSON.parse(process.argv[2]!);
runCrowd({
  ...plan,
  turnMs: TURN_MS,
  open(number, kind, observer, nowMs) {
    const family = number % 2 === 0 ? 4 : 6;
    const localPort = PORT_FIRST + (number % PORTS);
    const few = plan.shortMessages ?? 1 + ((number - plan.held) % SHORT_MESSAGES_MAX);
    const messages = kind === 'held' ? Number.POSITIVE_INFINITY : few;
    const to = { kind, family, host: plan.vips[family], port: plan.port, localPort, messages } as const;
    return new Connection(to, observer, nowMs);
  },
});
