/**
 * The backends' program: `server.js NAME PORT HEALTH_ADDRESS HEALTH_PORT` answers every message on PORT of any address
 * (wire.ts says what), and listens on HEALTH_ADDRESS for health checks. SIGUSR2 closes that listener and opens it again, and
 * says so by a line "health closed N" or "health open N", N counting up: its backend then fails its checks and serves on.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { answer, greeting, Lines, nonceOf } from './wire.js';

/** Linux takes net.core.somaxconn, 4096, at most. */
const BACKLOG = 4096;

const [name = '', port = '', healthAddress = '', healthPort = ''] = process.argv.slice(2);
const server = `${name}/${randomBytes(3).toString('hex')}`;

const echo = createServer({ noDelay: true }, serve);
echo.listen({ host: '::', port: Number(port), backlog: BACKLOG });
await once(echo, 'listening');

let changes = 0;
let health: Server | undefined;
process.on('SIGUSR2', () => void toggleHealth());
await toggleHealth();

function serve(socket: Socket): void {
  const lines = new Lines();
  let nonce: string | undefined;
  let messages = 0;
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy()); // the client has what there is to say about it
  socket.on('data', (chunk: string) => {
    for (const line of lines.take(chunk)) {
      nonce ??= nonceOf(line);
      messages += 1;
      socket.write(answer(server, nonce, messages));
    }
  });
  socket.write(greeting(server));
}

async function toggleHealth(): Promise<void> {
  if (health === undefined) {
    health = createServer((socket) => socket.on('error', () => socket.destroy()).end());
    health.listen(Number(healthPort), healthAddress);
    await once(health, 'listening');
  } else {
    const closed = once(health, 'close');
    health.close();
    await closed;
    health = undefined;
  }
  changes += 1;
  console.log(`health ${health === undefined ? 'closed' : 'open'} ${changes}`);
}
