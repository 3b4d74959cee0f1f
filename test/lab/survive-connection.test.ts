/** The client of `make survive` sees every way in which a connection can be broken, and none where it is not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '../../scripts/survive/connection.js';
import type { ConnectionRecord } from '../../scripts/survive/journal.js';
import { answer, greeting, Lines, nonceOf } from '../../scripts/survive/wire.js';

const TIMEOUT_MS = 10_000;
const SERVER = 'web-1/aa';

/** Answers a message; `count` is that of the socket's messages. */
type Answer = (socket: Socket, nonce: string, count: number) => void;

const rightly: Answer = (socket, nonce, count) => socket.write(answer(SERVER, nonce, count));

/**
 * A connection of three messages to a server that answers so.
 * @param nowMs the time that it is called on at, once it waits for an answer
 */
async function talk(reply: Answer, nowMs = (): number => Date.now()): Promise<ConnectionRecord> {
  const server = createServer((socket) => {
    const lines = new Lines();
    let count = 0;
    socket.setEncoding('utf8').on('error', () => {});
    socket.on('data', (chunk: string) => {
      for (const line of lines.take(chunk)) reply(socket, nonceOf(line), ++count);
    });
    socket.write(greeting(SERVER));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((resolve) => {
      const plan = { kind: 'short', family: 4, host: '127.0.0.1', port, localPort: 0, messages: 3 } as const;
      const connection = new Connection(plan, { answered: () => {}, ended: resolve }, Date.now());
      void (async () => {
        for (let turns = 0; turns < 100 && connection.turn(turns < 10 ? Date.now() : nowMs()); turns++)
          await delay(10);
      })();
    });
  } finally {
    server.close();
  }
}

const cases: {
  what: string;
  reply: Answer;
  broken: RegExp | null;
  nowMs?: () => number;
  answers?: number;
}[] = [
  { what: 'right answers', reply: rightly, broken: null, answers: 3 },
  { what: 'a reset', reply: (socket) => socket.resetAndDestroy(), broken: /^ECONNRESET$/ },
  { what: 'an end that nobody asked for', reply: (socket) => socket.end(), broken: /^EOF$/ },
  {
    what: 'an answer by another process of the backend',
    reply: (socket, nonce, count) => socket.write(answer('web-1/bb', nonce, count)),
    broken: /^wrong answer "web-1\/bb /,
  },
  {
    what: "an answer to another connection's message",
    reply: (socket, _, count) => socket.write(answer(SERVER, 'other', count)),
    broken: /^wrong answer "web-1\/aa other 1" to [0-9a-f]{8} 1$/,
  },
  {
    what: 'an answer by a socket that missed a message',
    reply: (socket, nonce, count) => rightly(socket, nonce, count < 2 ? count : count - 1),
    broken: /^wrong answer/,
    answers: 1,
  },
  {
    what: 'silence for 10 s',
    reply: () => {},
    broken: /^silence for 10 s$/,
    nowMs: () => Date.now() + 11_000,
  },
];

for (const { what, reply, broken, nowMs, answers = 0 } of cases) {
  test(`${what}: ${broken === null ? 'in order' : 'broken'}`, { timeout: TIMEOUT_MS }, async () => {
    const record = await talk(reply, nowMs);
    if (broken === null) assert.equal(record.broken, null);
    else assert.match(record.broken!, broken);
    assert.equal(record.server, SERVER);
    assert.equal(record.answers, answers);
  });
}

test('a connection that is refused: broken, with nobody who accepted it', {
  timeout: TIMEOUT_MS,
}, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const plan = { kind: 'short', family: 4, host: '127.0.0.1', port, localPort: 0, messages: 1 } as const;
  const record = await new Promise<ConnectionRecord>((resolve) => {
    new Connection(plan, { answered: () => {}, ended: resolve }, Date.now());
  });
  assert.equal(record.broken, 'ECONNREFUSED');
  assert.equal(record.server, null);
});
