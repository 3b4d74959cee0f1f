/** Nodes that are asked by a DNS host: good ones, and each way in which one can be broken, slow, in foreign hands or not the one that is meant. */
import assert from 'node:assert/strict';
import { createServer as createHttps } from 'node:https';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls, createServer as createTls, type TLSSocket } from 'node:tls';
import type { RegionAnswer, RegionAnswerVip } from '#anyhop/announce/region/answer.js';
import { Questioner } from '#anyhop/announce/region/question.js';
import { RegionServer, secureContext } from '#anyhop/announce/region/server.js';
import { type NodeView, WatchedNode } from '#anyhop/announce/region/watched-node.js';
import type { RegionTls } from '#anyhop/config/announce/types.js';
import { address, Certificates, freePort, keptLog, node, until } from './fixture.js';

const VIP = '203.0.113.10';
const GOOD: RegionAnswer = {
  node: 'eu-1',
  region: 'eu',
  ready: true,
  draining: false,
  weight: 3,
  vips: [{ vip: VIP, state: 'announced' } as RegionAnswerVip],
};

let own: Certificates;
let foreign: Certificates;
let nodeTls: RegionTls;
let hostTls: RegionTls;
before(async () => {
  own = await Certificates.make();
  foreign = await Certificates.make('foreign');
  nodeTls = await own.node('eu-1');
  hostTls = await own.dnsHost();
});
after(() => {
  own.remove();
  foreign.remove();
});

const ends: (() => unknown)[] = [];
after(async () => {
  for (const end of ends) await end();
});

async function server(tls = nodeTls, answer: () => RegionAnswer = () => GOOD) {
  const port = await freePort();
  const log = keptLog();
  const started = new RegionServer({ address: address('127.0.0.1'), port }, tls, answer, log);
  ends.push(() => started.close());
  await until('the node listens', () => log.lines.some(({ event }) => event === 'region_available'));
  return { port, log, server: started };
}

function question(port: number, tls = hostTls, name = 'eu-1', region = 'eu') {
  const asked = new Questioner(node(name, port), region, tls, () => undefined);
  ends.push(() => asked.close());
  return asked;
}

/** A node that is none of ours, with a good certificate. */
async function impostor(respond: (socket: TLSSocket) => void): Promise<number> {
  const fake = createTls({ ...secureContext(nodeTls), minVersion: 'TLSv1.3' }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => respond(socket));
  });
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
  ends.push(() => fake.close());
  return (fake.address() as { port: number }).port;
}

const http = (body: string, head = '') =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${head}\r\n${body}`;

describe('a node that DNS hosts ask', () => {
  it('keeps the connection of a DNS host, however many strangers connect from however many addresses', async () => {
    const { port } = await server();
    let ended = 0;
    const asked = new Questioner(node('eu-1', port), 'eu', hostTls, () => ended++);
    ends.push(() => asked.close());
    await asked.ask();
    const strangers = Array.from({ length: 200 }, (_, i) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.1.${i + 1}` });
      socket.on('error', () => undefined);
      return socket;
    });
    // More than there is room for are hung up on.
    await until('strangers are cut off', () => strangers.filter(({ closed }) => closed).length >= 100);
    assert.deepEqual(await asked.ask(), GOOD);
    assert.equal(ended, 0);
    for (const socket of strangers) socket.destroy();
  });

  it('answers one with a certificate, over and over on one connection', async () => {
    const { port } = await server();
    const asked = question(port);
    for (let turn = 0; turn < 3; turn++) assert.deepEqual(await asked.ask(), GOOD);
  });

  it('answers nobody without a certificate, with one of another authority, or with an older TLS', async () => {
    const { port, log } = await server();
    await assert.rejects(question(port, await foreign.dnsHost()).ask());
    const mixed = { certificate: (await foreign.dnsHost()).certificate, authorities: hostTls.authorities };
    await assert.rejects(question(port, mixed).ask());
    for (const options of [{}, { ...secureContext(hostTls), maxVersion: 'TLSv1.2' as const }]) {
      const { ca } = secureContext(hostTls);
      const heard = await new Promise<string>((resolve) => {
        let text = '';
        const socket = connectTls({ ca, port, host: '127.0.0.1', servername: 'eu-1', ...options });
        socket.on('secureConnect', () => socket.write('GET /region HTTP/1.1\r\nhost: a\r\n\r\n'));
        socket.on('data', (data) => (text += data));
        socket.on('error', () => undefined).on('close', () => resolve(text));
      });
      assert.equal(heard, '');
    }
    assert.equal(log.lines.filter(({ event }) => event === 'region_refused').length, 1, 'said once a minute');
    assert.deepEqual(await question(port).ask(), GOOD);
  });

  it('serves nothing else, and hangs up on what is too large', async () => {
    const { port } = await server();
    const ask = (request: string) =>
      new Promise<string>((resolve) => {
        let text = '';
        const socket = connectTls({ ...secureContext(hostTls), port, host: '127.0.0.1', servername: 'eu-1' });
        socket.on('secureConnect', () => socket.write(request));
        socket.on('data', (data) => (text += data));
        socket.on('error', () => undefined).on('close', () => resolve(text.split('\r\n', 1)[0]!));
      });
    assert.equal(await ask('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), 'HTTP/1.1 404 Not Found');
    assert.equal(await ask('GET /region/../x HTTP/1.1\r\nhost: a\r\n\r\n'), 'HTTP/1.1 404 Not Found');
    assert.equal(await ask('DELETE /region HTTP/1.1\r\nhost: a\r\n\r\n'), 'HTTP/1.1 405 Method Not Allowed');
    assert.match(await ask(`GET /region HTTP/1.1\r\na: ${'b'.repeat(5_000)}\r\n\r\n`), /^HTTP\/1.1 431 /);
  });

  it('lets no crowd from one address keep it from a DNS host', async () => {
    const { port } = await server();
    const crowd = Array.from({ length: 100 }, () =>
      connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => undefined),
    );
    ends.push(() => crowd.map((socket) => socket.destroy()));
    const asked = question(port);
    await until('the DNS host has its answer', () =>
      asked.ask().then(
        () => true,
        () => false,
      ),
    );
  });

  it('shows a renewed certificate, and no longer believes an authority that is gone', async () => {
    const { port, server: running } = await server();
    const before = question(port);
    await before.ask();
    const renewed = await foreign.node('eu-1');
    running.replace(renewed);
    await assert.rejects(async () => {
      await before.ask(); // its connection may just be closing
      await before.ask();
    });
    assert.deepEqual(await question(port, await foreign.dnsHost()).ask(), GOOD);
  });
});

describe('a question to a node', () => {
  it('is answered by the node that the certificate names, and no other', async () => {
    const { port } = await server();
    await assert.rejects(question(port, hostTls, 'eu-2').ask(), /does not match certificate/);
    const { port: strange } = await server(await foreign.node('eu-1'));
    await assert.rejects(question(strange).ask(), /certificate|signature|issuer/);
  });

  it('refuses an answer of another node or region', async () => {
    const { port } = await server();
    await assert.rejects(question(port, hostTls, 'eu-1', 'us').ask(), /says that it is in another region/);
    const { port: other } = await server(nodeTls, () => ({ ...GOOD, node: 'eu-2' }));
    await assert.rejects(question(other).ask(), /the answer is of another node/);
  });

  it('refuses what is no answer: wrong types, too large, no JSON, another status, half of it', async () => {
    const wrong: Record<string, RegExp> = {
      '{': /no JSON/,
      '[]': /wrong/,
      null: /wrong/,
      [JSON.stringify({ ...GOOD, ready: 'yes' })]: /wrong at "ready"/,
      [JSON.stringify({ ...GOOD, weight: 0 })]: /wrong at "weight"/,
      [JSON.stringify({ ...GOOD, weight: 1e9 })]: /wrong at "weight"/,
      [JSON.stringify({ ...GOOD, weight: 1.5 })]: /wrong at "weight"/,
      [JSON.stringify({ ...GOOD, vips: {} })]: /wrong at "vips"/,
      [JSON.stringify({ ...GOOD, vips: [{ vip: VIP, state: 'up' }] })]: /wrong at "vips.0.state"/,
      [JSON.stringify({ ...GOOD, vips: Array(2_000).fill(GOOD.vips[0]) })]: /wrong at "vips"/,
      [' '.repeat(200_000)]: /more than 131072 bytes/,
    };
    for (const [body, why] of Object.entries(wrong)) {
      const port = await impostor((socket) => socket.end(http(body)));
      await assert.rejects(question(port).ask(), why, body.slice(0, 60));
    }
    const status = await impostor((socket) => socket.end(http('x').replace('200 OK', '302 Found')));
    await assert.rejects(question(status).ask(), /status 302/);
    const half = await impostor((socket) => socket.end(http(JSON.stringify(GOOD)).slice(0, -5)));
    await assert.rejects(question(half).ask());
    const none = await impostor((socket) => socket.destroy());
    await assert.rejects(question(none).ask());
  });

  it('gives up on one that answers a byte at a time, or never', async () => {
    const timers: NodeJS.Timeout[] = [];
    ends.push(() => timers.map(clearInterval));
    const slow = await impostor((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n`);
      timers.push(setInterval(() => socket.write(' '), 50));
    });
    const never = await impostor(() => undefined);
    const started = performance.now();
    await Promise.all(
      [slow, never].map((port) => assert.rejects(question(port).ask(), /no answer within 3s/)),
    );
    assert.ok(performance.now() - started < 8_000);
  });
});

describe('a watched node', () => {
  function watch(port: number) {
    const views: NodeView[] = [];
    const watched = new WatchedNode(node('eu-1', port), 'eu', hostTls, 0, () => views.push(watched.view));
    ends.push(() => watched.close());
    return { watched, views };
  }

  it('is heard at its first answer, lost soon after its last one, and heard again when it has answered for a while', async () => {
    const { port, server: running } = await server();
    const { watched } = watch(port);
    await until('it is heard', () => watched.view.state === 'heard');
    await running.close();
    const gone = performance.now();
    await until('it is lost', () => watched.view.state === 'lost');
    const lostAfter = performance.now() - gone;
    assert.ok(lostAfter > 900 && lostAfter < 2_500, `lost after ${lostAfter} ms`);
    assert.match(watched.view.state === 'lost' ? watched.view.why : '', /connection refused/);
    const log = keptLog();
    const again = new RegionServer({ address: address('127.0.0.1'), port }, nodeTls, () => GOOD, log);
    ends.push(() => again.close());
    await until('it listens again', () => log.lines.some(({ event }) => event === 'region_available'));
    const back = performance.now();
    await until('it is heard again', () => watched.view.state === 'heard');
    assert.ok(performance.now() - back > 2_500, 'not before it answered for three seconds');
  });

  it('survives a restart that takes less than its silence', async () => {
    const { port, server: running } = await server();
    const { watched, views } = watch(port);
    await until('it is heard', () => watched.view.state === 'heard');
    await running.close();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const again = new RegionServer({ address: address('127.0.0.1'), port }, nodeTls, () => GOOD, keptLog());
    ends.push(() => again.close());
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    assert.deepEqual(
      views.map(({ state }) => state),
      ['heard'],
    );
  });

  it('keeps its last good answer through bad ones, until it is lost', async () => {
    let turn = 0;
    const bad = createHttps(secureContext(nodeTls), (_, response) => {
      response.end(turn++ < 2 ? JSON.stringify(GOOD) : '{"ready": "no", "vips": "none"}');
    });
    await new Promise<void>((resolve) => bad.listen(0, '127.0.0.1', resolve));
    ends.push(() => bad.closeAllConnections());
    ends.push(() => bad.close());
    const { watched, views } = watch((bad.address() as { port: number }).port);
    await until('it is lost', () => watched.view.state === 'lost');
    assert.deepEqual(views.at(0), { state: 'heard', answer: GOOD });
    assert.equal(views.length, 2, 'nothing between');
  });
});
