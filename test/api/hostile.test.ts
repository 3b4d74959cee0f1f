/** The control socket under clients that send anything, nothing, too much or too slowly: it answers the next one at once. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, type FakeNode, fakeNode, post } from './fake-node.js';
import { answersAtOnce as nodeAnswersAtOnce, type RawClient, rawClient } from './raw-client.js';

let node: FakeNode;
let clients: Socket[];
beforeEach(async () => {
  clients = [];
  node = await fakeNode();
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await node.close();
});

function client(bytes: string | Buffer = ''): RawClient {
  const one = rawClient(node.socket, bytes);
  clients.push(one.socket);
  return one;
}

const answersAtOnce = (): Promise<void> => nodeAnswersAtOnce(node.socket);

const chunked = (body: string): string =>
  `POST /reload HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${body}`;

describe('the control socket', () => {
  it('refuses with 4xx and a code what is no HTTP, too large, or for another kind of server', async () => {
    for (const [bytes, status] of [
      ['\0\0\0\r\n\r\n', 400],
      ['\r\nx', 400],
      ['GET / HTTP/9.9\r\n\r\n', 400],
      ['GET /status\0 HTTP/1.1\r\nhost: x\r\n\r\n', 400],
      ['\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 400],
      ['POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n', 400],
      ['POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}', 400],
      ['POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}', 400],
      ['GET /status HTTP/1.1\r\n\r\n', 400], // no host
      [`GET /${'a'.repeat(50_000)} HTTP/1.1\r\n`, 431],
      [`GET /status HTTP/1.1\r\nx: ${'a'.repeat(50_000)}`, 431],
      [chunked('zz\r\n'), 400],
      [chunked('2\r\n{}garbage'), 400],
      [chunked(`1;${'x'.repeat(20_000)}\r\n{\r\n`), 413],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
      ['GET /status HTTP/1.1\r\nhost: x\r\nexpect: nonsense\r\n\r\n', 417],
      ['POST /reload HTTP/1.1\r\nhost: x\r\nexpect: x\r\ncontent-length: 2\r\n\r\n{}', 417],
      ['CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: x\r\n\r\n', 405],
      ['CONNECT /reload HTTP/1.1\r\nhost: x\r\n\r\n\0\0\0', 405],
    ] as const) {
      const { received, closed } = client(Buffer.from(bytes, 'latin1'));
      await closed;
      const answer = new RegExp(
        `^HTTP/1\\.1 ${status} [^]*\r\n\r\n{"error":{"code":"ERR_[A-Z_]+","message":"`,
      );
      assert.match(received(), answer, JSON.stringify(bytes.slice(0, 60)));
      await answersAtOnce();
    }
    assert.deepEqual(node.told, []);
  });

  it('refuses a body beyond the bound without reading it, and the client sees why', async () => {
    const huge = 'x'.repeat(8 * 1024 * 1024);
    for (const question of [
      { method: 'POST', body: huge },
      { method: 'POST', body: huge, headers: { 'transfer-encoding': 'chunked' } },
    ]) {
      const { status, json } = await ask(node.socket, '/reload', question);
      assert.deepEqual([status, json.error.code], [413, 'ERR_TOO_LARGE']);
      await answersAtOnce();
    }
    // Nor is a body read that is nobody's business.
    assert.equal((await ask(node.socket, '/status', { method: 'POST', body: huge })).status, 405);
    assert.equal((await ask(node.socket, '/nowhere', { method: 'POST', body: huge })).status, 404);
    const most = `{"force":true}${' '.repeat(64 * 1024 - 14)}`;
    assert.equal((await ask(node.socket, '/reload', { method: 'POST', body: most })).status, 200);
    assert.equal((await ask(node.socket, '/reload', { method: 'POST', body: `${most} ` })).status, 413);
  });

  it('refuses a body of crumbs', async () => {
    const { received, closed } = client(chunked('1\r\n \r\n'.repeat(60_000)));
    await closed;
    assert.match(received(), /^HTTP\/1\.1 413 [\s\S]*ERR_TOO_LARGE/);
    await answersAtOnce();
  });

  it('closes the connection of one that goes on sending what was refused', async () => {
    const { received, closed } = client(
      'POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n',
    );
    await closed;
    assert.match(received(), /^HTTP\/1\.1 413 [\s\S]*ERR_TOO_LARGE/);
  });

  it('refuses JSON of any depth', async () => {
    for (const body of ['['.repeat(60_000), `${'['.repeat(30_000)}${']'.repeat(30_000)}`]) {
      assert.equal((await ask(node.socket, '/reload', { method: 'POST', body })).status, 400);
    }
    const nested = `{"backend":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`;
    assert.equal((await ask(node.socket, '/drain', { method: 'POST', body: nested })).status, 400);
    await answersAtOnce();
  });

  it('has no time for requests that do not come to an end, and changes nothing by them', async () => {
    const slow = [
      client(),
      client('GET /status HTTP/1.1\r\nhost: x\r\n'),
      client('POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n{"force":tr'),
      client(chunked('5\r\n{"for')),
    ];
    const drip = setInterval(() => slow[1].socket.write('x: y\r\n'), 300);
    await answersAtOnce();
    await Promise.all(slow.map(({ closed }) => closed));
    clearInterval(drip);
    for (const { received } of slow) assert.match(received(), /^HTTP\/1\.1 408 [\s\S]*ERR_TIMEOUT/);
    // One that gives up halfway.
    const half = client('POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n{"force":');
    await delay(50);
    half.socket.destroy();
    await answersAtOnce();
    assert.deepEqual(node.told, []);
  });

  it('looks at one request of a connection, and at nothing that is sent behind it', async () => {
    const many = client('GET /status HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(5_000));
    const change = 'POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}';
    const changes = client(change.repeat(100));
    await answersAtOnce();
    await Promise.all([many.closed, changes.closed]);
    for (const { received } of [many, changes]) assert.match(received(), /^HTTP\/1\.1 200 /);
    assert.equal(node.told.length, 1);
    const rubbish = client(`${change}${'\0'.repeat(100_000)}`);
    await rubbish.closed;
    assert.match(rubbish.received(), /^HTTP\/1\.1 400 /);
    assert.equal(node.told.length, 1, 'what is refused changes nothing');
  });

  it('answers a request all the same when rubbish follows while it is being answered', async () => {
    let socket!: Socket;
    node.instead.reload = async () => {
      for (let i = 0; i < 20; i++) {
        socket.write('\0'.repeat(100_000));
        await delay(5);
      }
      return { generation: 9, pools: [], changes: [], warnings: [] };
    };
    const late = client('POST /reload HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}');
    socket = late.socket;
    await late.closed;
    assert.match(late.received(), /^HTTP\/1\.1 200 [\s\S]*"generation":9/);
  });

  it('forgets a change whose client has given up before its turn', async () => {
    let finish = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      finish = resolve;
    });
    node.instead.reload = async () => {
      await first;
      return { generation: 8, pools: [], changes: [], warnings: [] };
    };
    const reload = post(node.socket, '/reload', {});
    await answersAtOnce();
    const given = client('POST /drain HTTP/1.1\r\nhost: x\r\ncontent-length: 19\r\n\r\n{"backend":"web-1"}');
    await answersAtOnce();
    given.socket.destroy();
    await delay(50);
    finish();
    assert.equal((await reload).status, 200);
    assert.equal((await post(node.socket, '/undrain', { backend: 'web-2' })).status, 200);
    assert.deepEqual(
      node.told.map(({ what }) => what),
      ['undrain'],
    );
  });

  it('loses one that does not read its answer, and makes no more of the answer meanwhile', async () => {
    let parts = 0;
    const owners = new Proxy([] as number[], {
      get: (_, name) => {
        if (name === 'length') return 50_000_000;
        parts++;
        return 4000;
      },
    });
    node.instead.tables = async () => ({
      generation: 1,
      pools: [{ pool: 'web', slots: 1, backends: [], owners, alternates: [] }],
    });
    const deaf = connect(node.socket, () => deaf.write('GET /tables HTTP/1.1\r\nhost: x\r\n\r\n'));
    deaf.on('error', () => undefined);
    deaf.pause();
    clients.push(deaf);
    await delay(200);
    const made = parts;
    assert.ok(made < 1_000_000, `${made} entries were made for nobody`);
    await answersAtOnce();
    await delay(6_000);
    deaf.resume();
    const lost = new Promise((resolve) => deaf.once('close', () => resolve('lost')));
    assert.equal(await Promise.race([lost, delay(3_000, 'still served', { ref: false })]), 'lost');
    assert.ok(parts < made + 100_000, `${parts} entries were made for nobody`);
  });

  it('keeps the event loop free while it tells the largest table', async () => {
    const owners = Uint16Array.from({ length: 655_373 }, (_, slot) => slot % 4096);
    const pools = [{ pool: 'web', slots: owners.length, backends: [], owners, alternates: owners }];
    node.instead.tables = async () => ({ generation: 1, pools });
    const spentMs = (): number => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    };
    /** The longest turn of the event loop while the table is told once, in time of the processor: a busy machine takes no part of it. */
    const worstTurn = async (): Promise<number> => {
      let worst = 0;
      let last = spentMs();
      let going = true;
      const watch = (): void => {
        worst = Math.max(worst, spentMs() - last);
        last = spentMs();
        if (going) setImmediate(watch);
      };
      watch();
      const told = await new Promise<number>((resolve) => {
        const asking = connect(node.socket, () => asking.write('GET /tables HTTP/1.1\r\nhost: x\r\n\r\n'));
        let bytes = 0;
        asking.on('data', (part) => {
          bytes += part.length;
        });
        asking.on('close', () => resolve(bytes));
      });
      going = false;
      assert.ok(told > 6_000_000, String(told));
      return worst;
    };
    // The best of several: the garbage collector's threads count too.
    const turns: number[] = [];
    while (turns.length < 8 && !turns.some((ms) => ms < 30)) turns.push(await worstTurn());
    assert.ok(Math.min(...turns) < 30, `turns of the event loop took ${turns.map((ms) => ms.toFixed(1))} ms`);
  });
});
