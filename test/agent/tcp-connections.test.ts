/** Which TCP connections of this host count, and how often the kernel is asked; with real sockets on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { TcpConnections } from '#anyhop/agent/tcp-connections.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { configOf } from './report-fixture.js';

describe('the connections on VIPs', () => {
  const services = configOf(1, ['203.0.113.10', '2001:db8::10', '203.0.113.10']).services;
  let asked = 0;
  let clock = 0;
  let takes = 0;
  const system = {
    count: (ranges: readonly unknown[]): number[] => {
      asked++;
      clock += takes;
      return ranges.map((_, i) => 10 ** i);
    },
    now: () => clock,
  };

  test('are told by VIP and by service', () => {
    assert.deepEqual(new TcpConnections(services, system).vips(), [
      { vip: '203.0.113.10', protocol: 'tcp', established: 101, services: { s0: 1, s2: 100 } },
      { vip: '2001:db8::10', protocol: 'tcp', established: 10, services: { s1: 10 } },
    ]);
  });

  test('are counted once a second at most, whoever asks, and for a twentieth of the time at most', () => {
    const connections = new TcpConnections(services, system);
    const countsWithin = (milliseconds: number): number => {
      const before = asked;
      for (const end = clock + milliseconds; clock < end; clock++) connections.vips();
      return asked - before;
    };
    assert.equal(countsWithin(10_000), 10);
    clock += 1000;
    takes = 500;
    assert.ok(countsWithin(100_000) <= 10);
  });
});

describe('the connections that the kernel knows', () => {
  const opened: (Server | Socket)[] = [];
  after(() => {
    for (const each of opened) 'destroy' in each ? each.destroy() : each.close();
  });

  /** The accepted ends of `count` connections to a new listener. */
  async function connections(
    listen: string,
    to: string,
    count: number,
  ): Promise<{ port: number; clients: Socket[]; servers: Socket[] }> {
    const servers: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) =>
      servers.push(socket.on('error', () => {})),
    );
    server.listen(0, listen);
    opened.push(server);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const clients = Array.from({ length: count }, () => connect({ port, host: to, allowHalfOpen: true }));
    opened.push(...clients);
    await Promise.all(
      clients.map((client) =>
        once(
          client.on('error', () => {}),
          'connect',
        ),
      ),
    );
    while (servers.length < count) await delay(5);
    return { port, clients, servers };
  }

  function established(vip: string, first: number, last = first): number {
    const address = parseAddress(vip)!;
    const [service] = configOf(1).services;
    const [{ established }] = new TcpConnections([
      { ...service, vip: address, portFirst: first, portLast: last },
    ]).vips();
    return established;
  }

  test('count over IPv4, over IPv6, and over IPv4 on a socket of both', async () => {
    const four = await connections('127.0.0.5', '127.0.0.5', 3);
    const six = await connections('::1', '::1', 4);
    const both = await connections('::', '127.0.0.6', 5);
    assert.equal(established('127.0.0.5', four.port), 3);
    assert.equal(established('::1', six.port), 4);
    assert.equal(established('127.0.0.6', both.port), 5);
    assert.equal(established('::1', both.port), 0);
    assert.equal(established('127.0.0.5', 1, four.port - 1), 0, 'listening sockets and neighbours do not');
  });

  test('count until both ends have said all, and not in TIME-WAIT', async () => {
    const { port, clients, servers } = await connections('127.0.0.7', '127.0.0.7', 4);
    const counts = (): number => established('127.0.0.7', port);
    clients[0].end(); // CLOSE-WAIT here
    servers[1].end(); // FIN-WAIT-2 here
    await Promise.all([once(servers[0].resume(), 'end'), once(clients[1].resume(), 'end')]);
    assert.equal(counts(), 4);
    clients[1].end(); // the end that closed first keeps TIME-WAIT: here
    await once(servers[1].resume(), 'close');
    assert.equal(counts(), 3);
    servers[0].end();
    await once(servers[0], 'close');
    servers[2].resetAndDestroy();
    // An error comes first, which `once` would reject with.
    await new Promise((resolve) => clients[2].once('close', resolve).resume());
    assert.equal(counts(), 1);
  });

  test('are split by port, whatever ports and addresses are asked for together', async () => {
    const there = [
      { ...(await connections('127.0.0.8', '127.0.0.8', 2)), vip: '127.0.0.8', count: 2 },
      { ...(await connections('127.0.0.8', '127.0.0.8', 1)), vip: '127.0.0.8', count: 1 },
      { ...(await connections('::', '127.0.0.9', 3)), vip: '127.0.0.9', count: 3 },
      { ...(await connections('::1', '::1', 2)), vip: '::1', count: 2 },
    ];
    // Clients have this address too, those of other programs as well: any port near could be one of theirs.
    const shared = '::1';
    const [service] = configOf(1).services;
    // More addresses than the kernel filters by, and fewer.
    const others = fc.array(
      fc.record({
        vip: fc.constantFrom(
          ...Array.from({ length: 20 }, (_, i) => `127.1.0.${i}`),
          '2001:db8::1',
          '2001:db8::2',
        ),
        port: fc.integer({ min: 1, max: 65_000 }),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(
        fc.shuffledSubarray(there),
        others,
        fc.nat(100),
        fc.nat(100),
        (some, strangers, below, above) => {
          const ports = (vip: string, port: number): { portFirst: number; portLast: number } => {
            if (vip === shared) return { portFirst: port, portLast: port };
            const near = there.map((each) => each.port).filter((each) => each !== port);
            // A range that holds no port of another one here.
            const portFirst = Math.max(
              1,
              port - below,
              ...near.filter((each) => each < port).map((each) => each + 1),
            );
            const portLast = Math.min(
              65535,
              port + above,
              ...near.filter((each) => each > port).map((each) => each - 1),
            );
            return { portFirst, portLast };
          };
          const asked = [
            ...some.map(({ vip, port }, i) => ({
              ...service,
              name: `own${i}`,
              vip: parseAddress(vip)!,
              ...ports(vip, port),
            })),
            ...strangers.map(({ vip, port }, i) => ({
              ...service,
              name: `other${i}`,
              vip: parseAddress(vip)!,
              portFirst: port,
              portLast: port,
            })),
          ];
          const told = Object.assign({}, ...new TcpConnections(asked).vips().map(({ services }) => services));
          assert.deepEqual(
            some.map((_, i) => told[`own${i}`]),
            some.map(({ count }) => count),
          );
          assert.ok(strangers.every((_, i) => told[`other${i}`] === 0));
        },
      ),
      { numRuns: 200 },
    );
  });
});
