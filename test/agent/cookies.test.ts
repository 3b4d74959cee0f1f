/** SYN cookies of the fleet at a backend: the handshake's end comes out of nowhere, and the kernel makes a connection of it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { L } from '#anyhop/core/layout.gen.js';
import { keyWord } from '#anyhop/packet/second-chance-key.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { gre, type Layer } from '../packets/build.js';
import { Backend, INTERFACE, networkSkip } from './backend.js';
import { FAMILIES, PORT, SERVER } from './client.js';
import { CookieClient, FORMER_KEY, fleetMs, type Handshake } from './cookie-client.js';
import { outer4, outer6, VIP, VIP6 } from './fixture.js';

const READY_TIMEOUT_MS = 20_000;
/** Long enough for an answer that must not come. */
const SILENCE_MS = 150;
/** An acknowledgment that is on its way: the kernel waits less for it where it knows nothing of the path. */
const PATH_MS = 300;
/** Of data, so much that what came before it is no packet that was overtaken: NEAR in fleet-cookie.h. */
const FAR_BYTES = 70_000;
/** Fits the wire with all headers. */
const SEGMENT_BYTES = 1_300;
/** The kernel has the socket by then. */
const REOPENED_MS = 5;
const FULL_PORT = 82;
const DUAL_PORT = 83;
/** One socket for both families, as most servers listen. */
const DUAL_SERVER = `
require('node:net')
  .createServer((client) => client.on('error', () => {}).pipe(client))
  .listen(${DUAL_PORT}, '::', () => console.log('listening'));`;
/** A server that accepts nothing: its queue holds two. */
const FULL_SERVER = `
const { createServer } = require('node:net');
let left = 2;
for (const vip of ['${VIP}', '${VIP6}'])
  createServer().listen({ port: ${FULL_PORT}, host: vip, backlog: 1 }, () => {
    if (--left > 0) return;
    console.log('listening');
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50);
  });`;

describe('an agent with the key of SYN cookies', { skip: networkSkip() }, () => {
  let backend: Backend;
  let agent: LabProcess;
  let sport = 41_000;
  before(async () => {
    backend = await Backend.make();
    backend.configureCookies((text) => text.replaceAll('port: 80,', `port: 80-${DUAL_PORT},`));
    for (const text of [SERVER, FULL_SERVER, DUAL_SERVER]) {
      const server = await backend.startScript(text);
      await server.waitForLine((line) => line === 'listening', 'listening', READY_TIMEOUT_MS);
    }
    agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    await agent.waitForEvent('cookies_taken', READY_TIMEOUT_MS);
  });
  after(() => backend?.close());

  /** What the kernel knows of a client's connection. */
  const socketOf = (client: CookieClient): Promise<string> =>
    backend.exec('ss', '-Htino', `dport = :${client.sport}`);

  for (const on of FAMILIES) {
    const clientOf = (o: Handshake = {}, from = sport++): CookieClient =>
      new CookieClient(backend, on, from, o);
    const served = async (client: CookieClient): Promise<void> => {
      client.ack();
      client.request();
      await client.echo();
    };
    /** By the server, whose kernel keeps it in TIME-WAIT. */
    const closed = async (client: CookieClient): Promise<void> => {
      client.ack();
      client.request('end');
      await client.answer('end', ({ flags }) => flags.includes('fin'));
      client.finish();
      await until(async () =>
        (await backend.exec('ss', '-Htan', 'state', 'time-wait')).includes(`:${client.sport}`),
      );
    };
    const refused = async (client: CookieClient): Promise<void> => {
      client.ack();
      await client.answer('reset', ({ flags }) => flags.includes('rst'));
    };

    test(`IPv${on.family}: makes a connection of the end of a handshake`, async () => {
      const client = clientOf();
      await served(client);
      client.request('again');
      await client.echo('again');
      client.reset();
    });

    test(`IPv${on.family}: keeps what the client's SYN asked for`, async () => {
      const linux = clientOf({ ecn: true });
      await served(linux);
      const shown = await socketOf(linux);
      for (const each of [/\bts\b/, /\bsack\b/, /\becn\b/, /wscale:7,7/]) assert.match(shown, each);
      const windows = clientOf({ timestamps: false, wscale: 8 });
      await served(windows);
      assert.match(await socketOf(windows), /\bsack\b.*wscale:8,7/);
      const bare = clientOf({ timestamps: false, sack: false, wscale: undefined, mss: 536 });
      await served(bare);
      assert.doesNotMatch(await socketOf(bare), /\bts\b|\bsack\b|wscale/);
    });

    test(`IPv${on.family}: is served by a socket for both families`, async () => {
      await served(clientOf({ port: DUAL_PORT }));
    });

    test(`IPv${on.family}: takes the request of a client whose acknowledgment was lost`, async () => {
      const client = clientOf();
      client.request();
      await client.echo();
    });

    test(`IPv${on.family}: takes the former key, and epochs from two behind to one ahead`, async () => {
      await notAtTheEndOfAnEpoch();
      await served(clientOf({ key: FORMER_KEY }));
      for (const epochs of [-2, -1, 1]) await served(clientOf({ epochs }));
    });

    test(`IPv${on.family}: resets what brings another key, owner, port or epoch, or none`, async () => {
      await notAtTheEndOfAnEpoch();
      await refused(clientOf({ key: Buffer.alloc(16, 7) }));
      await refused(clientOf({ owner: on.family === 4 ? '10.1.0.12' : 'fd00:1::12' }));
      for (const epochs of [-3, 2]) await refused(clientOf({ epochs }));
      const guessed = clientOf();
      guessed.send(['ack'], '', 1);
      await guessed.answer('reset', ({ flags }) => flags.includes('rst'));
    });

    test(`IPv${on.family}: goes by the outer address, of either family`, async () => {
      await served(clientOf({ around: [outer6(), gre()], owner: 'fd00:1::11' }));
      await served(clientOf({ around: [outer4(), gre()], owner: '10.1.0.11' }));
    });

    test(`IPv${on.family}: keeps what has an alternate and brings a cookie, and sends on what brings another owner's`, async () => {
      const keyed = (): readonly Layer[] => [
        on.outer(),
        gre({ key: keyWord(0, on.id, 0), alternates: true }),
      ];
      await served(clientOf({ around: keyed() }));
      const moved = clientOf({ around: keyed(), owner: on.family === 4 ? '10.1.0.12' : 'fd00:1::12' });
      moved.ack();
      await backend.answer('packet for the former owner', ({ dst }) => dst === on.peer);
    });

    test(`IPv${on.family}: takes a connection anew over TIME-WAIT`, async () => {
      const first = clientOf({ port: PORT });
      await closed(first);
      // Newer by its number, and by its time.
      await served(clientOf({ port: PORT, isn: 0x22345678 }, first.sport));
    });

    test(`IPv${on.family}: takes a connection over TIME-WAIT that is newer by its timestamp alone, and none that is older`, async () => {
      const first = clientOf({ port: PORT });
      const late = first.frame(['ack']);
      await closed(first);
      backend.send(late);
      await delay(SILENCE_MS);
      assert.ok(!first.wasReset());
      assert.match(await backend.exec('ss', '-Htan', 'state', 'time-wait'), RegExp(`:${first.sport}\\b`));
      await served(clientOf({ port: PORT, isn: 0x02345678, value: first.sport * 1000 + 50 }, first.sport));
    });

    test(`IPv${on.family}: takes a connection anew over one that its client has forgotten`, async () => {
      const from = sport++;
      for (const isn of [0x12345678, 0x52345678]) {
        clientOf({ isn }, from).request();
        await delay(REOPENED_MS); // and not as long as what follows a handshake counts as its burst
      }
      const last = clientOf({ isn: 0x32345678 }, from);
      last.request();
      const first = (last.cookie + 1) >>> 0;
      await last.answer('echo', ({ data, sequence }) => data === 'hello' && sequence === first);
    });

    test(`IPv${on.family}: keeps a connection whose handshake ends once more, late`, async () => {
      const client = clientOf();
      const late = client.frame(['ack']);
      client.ack();
      const text = 'x'.repeat(SEGMENT_BYTES);
      for (let sent = 0; sent < FAR_BYTES; sent += SEGMENT_BYTES) {
        client.request(text);
        await client.echo(text);
      }
      backend.send(late);
      client.request('still here');
      await client.echo('still here');
      assert.ok(!client.wasReset());
    });

    test(`IPv${on.family}: goes on after window probes, which repeat a number from before`, async () => {
      const client = clientOf();
      await served(client);
      for (let i = 0; i < 3; i++) backend.send(client.frame(['ack'], '', -1));
      client.request('again');
      await client.echo('again');
      assert.ok(!client.wasReset());
    });

    test(`IPv${on.family}: takes a connection whose first SYN came through`, async () => {
      const client = clientOf();
      client.send(['syn'], '', -1);
      await client.answer('SYN-ACK', ({ flags }) => flags.includes('syn'));
      await served(client);
    });

    test(`IPv${on.family}: drops what finds the accept queue full, and resets nobody`, async () => {
      const clients = Array.from({ length: 6 }, () => clientOf({ port: FULL_PORT }));
      for (const client of clients) {
        client.ack();
        client.request();
        client.request();
      }
      await delay(SILENCE_MS);
      assert.deepEqual(
        clients.map((client) => client.wasReset()),
        clients.map(() => false),
      );
    });

    test(`IPv${on.family}: measures the whole way there and back, of 300 ms, and sends its answer once`, async (context) => {
      const client = clientOf({ ageMs: PATH_MS });
      client.request();
      await client.answer('echo', ({ data }) => data === 'hello');
      const way = client.ageMs;
      const rtt = Number(/\brtt:([\d.]+)/.exec(await socketOf(client))![1]);
      context.diagnostic(`rtt ${rtt} ms, of ${way.toFixed()} ms`);
      assert.ok(rtt > 0.9 * PATH_MS && rtt < 1.1 * way, `${rtt} ms, of ${way} ms`);
      await delay(PATH_MS);
      assert.equal(client.repeats('hello'), 0);
    });
  }

  test('takes the end of a handshake and the request in one burst', async () => {
    // What comes within 20 ms is handed over at once.
    const queue = `/sys/class/net/${INTERFACE}`;
    await backend.exec(
      'sh',
      '-c',
      `echo 100 > ${queue}/napi_defer_hard_irqs; echo 20000000 > ${queue}/gro_flush_timeout`,
    );
    for (const on of FAMILIES) {
      for (let i = 0; i < 5; i++) {
        const client = new CookieClient(backend, on, sport++);
        client.ack();
        client.ack();
        client.request('one');
        client.request('two');
        let heard = '';
        await until(async () => {
          heard += (await client.answer('echo', ({ data }) => data !== '')).data;
          return heard === 'onetwo';
        });
        assert.ok(!client.wasReset());
      }
    }
  });

  test('counts what it did, and leaves nothing behind', async () => {
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const { cookies } = agent.events.findLast(({ event }) => event === 'counters')!;
    const counts = cookies as Record<string, number>;
    assert.equal(counts['ended_former'], 5 * FAMILIES.length, JSON.stringify(counts));
    assert.ok(counts['followed'] > 0 && counts['refused_queue_full'] > 0, JSON.stringify(counts));
    for (const never of ['refused_kernel', 'refused_no_listener', 'refused_driver', 'refused_fault'])
      assert.equal(counts[never], 0, JSON.stringify(counts));
    assert.deepEqual(backend.pins(), []);
  });
});

/** A cookie of the oldest epoch must not grow older on its way. */
async function notAtTheEndOfAnEpoch(): Promise<void> {
  const length = 2 ** L.COOKIE_EPOCH_SHIFT;
  const left = length - (fleetMs() % length);
  if (left < 2_000) await delay(left + 20);
}

async function until(met: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 5_000; !(await met()); ) {
    assert.ok(Date.now() < end, 'not within 5 s');
    await delay(20);
  }
}
