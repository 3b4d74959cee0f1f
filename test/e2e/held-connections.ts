/**
 * The client machine's program in tests of connections that must last: `node held-connections.js PORT COUNT HOST...` opens
 * COUNT connections to each host, prints "open" when each has had an answer, and makes a request on each of them ten times a
 * second until SIGTERM. Then it prints one JSON line: by backend, connections and how many of them broke.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type Held = Record<string, { held: number; broken: number }>;

const SOURCE_PORT_FIRST = 20_000;
const INTERVAL_MS = 100;
/** Without an answer for so long a connection counts as broken. */
const ANSWER_TIMEOUT_MS = 3_000;

const [port, count, ...hosts] = process.argv.slice(2);
let stops = false;
process.once('SIGTERM', () => {
  stops = true;
});

interface Connection {
  /** Who gave the first answer. */
  backend: string | undefined;
  broken: boolean;
}

/** Asks and waits for the answer, again and again, until told to stop or the connection breaks. */
async function hold(connection: Connection, host: string, localPort: number): Promise<void> {
  const socket = connect({ host, port: Number(port), localPort });
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
  const request = `GET / HTTP/1.1\r\nHost: ${host.includes(':') ? `[${host}]` : host}\r\n\r\n`;
  socket.write(request);
  try {
    for await (const answer of socket) {
      const backend = /^X-Backend: (\S+)\r$/m.exec(String(answer))?.[1];
      connection.backend ??= backend;
      if (backend === undefined || backend !== connection.backend) break;
      if (stops) return;
      await delay(INTERVAL_MS);
      socket.write(request);
    }
  } catch {
    // A reset or a timeout: broken, as after an end.
  } finally {
    socket.destroy();
  }
  connection.broken = true;
}

const connections: Connection[] = [];
const ends = hosts.flatMap((host) =>
  Array.from({ length: Number(count) }, (_, i) => {
    const connection: Connection = { backend: undefined, broken: false };
    connections.push(connection);
    return hold(connection, host, SOURCE_PORT_FIRST + i);
  }),
);
while (!stops && connections.some(({ backend, broken }) => backend === undefined && !broken)) await delay(10);
process.stdout.write('open\n');
await Promise.all(ends);
while (!stops) await delay(10); // all broke
const held: Held = {};
for (const { backend = 'nobody', broken } of connections) {
  const before = held[backend] ?? { held: 0, broken: 0 };
  held[backend] = { held: before.held + 1, broken: before.broken + (broken ? 1 : 0) };
}
process.stdout.write(`${JSON.stringify(held)}\n`);
