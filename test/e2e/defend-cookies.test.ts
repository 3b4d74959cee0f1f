/**
 * Handshakes that a forwarder answers with SYN cookies, whatever happens between their three packets: the client writes them by hand,
 * and real kernels behind real agents take what comes of them.
 */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { L } from '#anyhop/core/layout.gen.js';
import { MappedArray } from '#anyhop/ffi/map.js';
import { FloodFleet } from '../../scripts/demo-flood/fleet.js';
import { halfOpen } from '../../scripts/demo-flood/witness.js';
import { run } from '../../scripts/lab/command.js';
import { missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import { SYSTEMS } from '../../scripts/native/systems.js';
import { type RawConnection, RawLink, type Segment } from './raw-client.js';

const TIMEOUT_MS = 120_000;
const FAMILIES = [4, 6] as const;
/** Of a cookie: three epochs of 16.4 s, when it was made at the beginning of the first. */
const LIFETIME_MS = 3 * 2 ** L.COOKIE_EPOCH_SHIFT;
const DEFEND = { syn_cookies: 'always' };
/** Longer than any way there and back here, on a busy machine too. */
const LONG_PATH_MS = 3_000;
/** Of a cookie's server, whatever the backend's own kernel would say. */
const SERVER_WSCALE = 7;
/** What `ss -ti` must show of a client on the backend: the largest payload a segment may have, and what was agreed on. */
const SHOWN = {
  linux: { mss: { 4: 1448, 6: 1428 }, words: ['ts', 'sack', 'ecn'], wscale: `7,${SERVER_WSCALE}` },
  windows: { mss: { 4: 1460, 6: 1440 }, words: ['sack'], wscale: `8,${SERVER_WSCALE}` },
  apple: { mss: { 4: 1448, 6: 1428 }, words: ['ts', 'sack', 'ecn'], wscale: `6,${SERVER_WSCALE}` },
  bare: { mss: { 4: 536, 6: 1220 }, words: [], wscale: undefined },
} as const;

/** Where the program of a forwarder (index from 0) has pinned a map. */
function pinOf({ lab }: FloodFleet, index: number, map: string): string {
  const bpffs = lab.resources.bpffs();
  const { ino } = statSync(`/run/netns/${lab.forwarders[index]!.namespace}`);
  const found = readdirSync(bpffs, { recursive: true })
    .map(String)
    .filter((path) => path.includes(`/${ino}/`) && path.endsWith(`/${map}`));
  assert.equal(found.length, 1, found.join());
  return join(bpffs, found[0]!);
}

describe('a handshake with a SYN cookie', {
  skip: missingForLab(['ss'])?.message ?? false,
  timeout: TIMEOUT_MS,
}, () => {
  let fleet: FloodFleet;
  let link: RawLink;
  before(async () => {
    fleet = await FloodFleet.start({ defend: DEFEND }, true);
    link = await RawLink.open(fleet.lab);
    await fleet.untilCookies();
  });
  after(async () => {
    link?.close();
    await fleet?.close();
  });

  /** What the backends' kernels say of a client's connection, by backend. */
  async function sockets({ port }: RawConnection): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const { name, namespace } of fleet.lab.backends) {
      const text = await fleet.lab.exec(namespace, ['ss', '-Htino', `dport = :${port}`]);
      if (text.trim() !== '') found.set(name, text);
    }
    return found;
  }

  /** Sends the SYN by one forwarder (index from 0), and what follows by another. */
  async function opened(connection: RawConnection, by: number, then: number): Promise<Segment> {
    await fleet.lab.routeTo([by]);
    connection.syn();
    const answer = await connection.synAck();
    assert.ok(answer !== undefined, 'no SYN-ACK');
    await fleet.lab.routeTo([then]);
    return answer;
  }

  /** Ends the handshake and asks. @returns the backend that answers; undefined when none does */
  function asked(connection: RawConnection): Promise<string | undefined> {
    connection.ack();
    connection.request();
    return connection.answer();
  }

  for (const family of FAMILIES)
    test(`IPv${family}: keeps MSS class, window scale, SACK, timestamps and ECN of Linux, Windows, macOS and bare SYNs`, async () => {
      await fleet.lab.routeTo([0, 1]);
      for (const system of SYSTEMS) {
        const connection = link.connection({ family, system, ecn: true });
        connection.syn();
        const answer = await connection.synAck();
        assert.ok(answer !== undefined, `${system}: no SYN-ACK`);
        assert.equal(halfOpenAnywhere(), 0, `${system}: a kernel has seen the SYN`);
        const backend = await asked(connection);
        const [[name, shown] = ['nobody', '']] = await sockets(connection);
        assert.equal(backend, name, `${system}: ${shown}`);
        const { mss, words, wscale } = SHOWN[system];
        const said = shown.split(/\s+/);
        assert.ok(said.includes(`mss:${mss[family]}`), `${system}: ${shown}`);
        for (const word of ['ts', 'sack', 'ecn'] as const)
          assert.equal(
            said.includes(word),
            (words as readonly string[]).includes(word),
            `${system}, ${word}: ${shown}`,
          );
        assert.equal(/\bwscale:(\S+)/.exec(shown)?.[1], wscale, `${system}: ${shown}`);
        connection.reset();
      }
    });

  for (const family of FAMILIES)
    test(`IPv${family}: is begun by one forwarder and ended by another`, async () => {
      const connection = link.connection({ family, system: 'linux' });
      await opened(connection, 0, 1);
      assert.ok(await asked(connection));
      connection.reset();
    });

  test('gets the same answer from another forwarder when its SYN is sent again', async () => {
    const connection = link.connection({ family: 4, system: 'windows' });
    const first = await opened(connection, 0, 1);
    connection.syn();
    const again = await connection.synAck();
    assert.ok(again !== undefined, 'no SYN-ACK');
    // Equal but for the epoch, which may have changed between the two.
    assert.equal(again.acknowledgment, first.acknowledgment);
    assert.ok(await asked(connection));
    assert.equal((await sockets(connection)).size, 1);
    connection.reset();
  });

  test('goes on with the request when its ACK is lost', async () => {
    for (const system of SYSTEMS) {
      const connection = link.connection({ family: 6, system });
      await opened(connection, 1, 0);
      connection.request();
      assert.ok(await connection.answer(), system);
      connection.reset();
    }
  });

  test('has its request answered in time when that comes right behind the ACK', async () => {
    for (const family of FAMILIES) {
      const connection = link.connection({ family, system: 'linux' });
      await opened(connection, 0, 0);
      connection.ackAndRequest();
      assert.ok(await connection.answer(), `IPv${family}`);
      connection.reset();
    }
  });

  test('is served by exactly one backend when its slot moves before its ACK', async () => {
    const connection = link.connection({ family: 4, system: 'linux' });
    await opened(connection, 0, 0);
    await moved(connection, async (owner) => {
      connection.ack();
      connection.request();
      connection.request(true);
      assert.equal(await connection.answer(), owner);
      await delay(200);
      assert.deepEqual([...(await sockets(connection)).keys()], [owner]);
    });
  });

  test('is served by exactly one backend when its slot moves before its SYN is sent again', async () => {
    const connection = link.connection({ family: 4, system: 'linux' });
    await opened(connection, 0, 0);
    await moved(connection, async (owner) => {
      connection.syn();
      assert.ok(await connection.synAck(), 'no SYN-ACK');
      const backend = await asked(connection);
      assert.ok(backend !== undefined && backend !== owner, `${backend} answers, after ${owner}`);
      assert.deepEqual([...(await sockets(connection)).keys()], [backend]);
    });
  });

  // The last: the first forwarder goes on without its process, which would set its clock right each second.
  describe('by a forwarder whose clock is wrong', () => {
    let clock: MappedArray;
    let right: bigint;
    before(async () => {
      const [node] = fleet.nodes;
      node!.kill();
      await node!.exited;
      clock = MappedArray.pinned(pinOf(fleet, 0, 'guard'));
      right = offset().getBigUint64(L.GUARD_TIME_FLEET_OFFSET_MS, true);
    });
    after(() => clock?.close());

    const offset = (): DataView => new DataView(clock.memory, L.GUARD_TIME);
    const wrongBy = (ms: number): void =>
      offset().setBigUint64(L.GUARD_TIME_FLEET_OFFSET_MS, BigInt.asUintN(64, right + BigInt(ms)), true);

    for (const ms of [15_000, -15_000])
      test(`is ended by another, ${ms > 0 ? '15 s behind' : '15 s ahead of'} it`, async () => {
        wrongBy(ms);
        for (const system of ['linux', 'windows'] as const) {
          const connection = link.connection({ family: 4, system });
          await opened(connection, 0, 1);
          assert.ok(await asked(connection), system);
          const [shown = ''] = (await sockets(connection)).values();
          const rtt = Number(/\brtt:([\d.]+)/.exec(shown)?.[1]);
          assert.ok(rtt < LONG_PATH_MS, `${system}: the difference counts as the way: ${shown}`);
          connection.reset();
        }
      });

    test('is refused when it is older than its lifetime', async () => {
      wrongBy(-LIFETIME_MS);
      const connection = link.connection({ family: 4, system: 'linux' });
      await opened(connection, 0, 1);
      assert.equal(await asked(connection), undefined);
      assert.equal((await sockets(connection)).size, 0);
    });
  });

  /** While the connection's slot has another owner. @param then gets the former one */
  async function moved(connection: RawConnection, then: (owner: string) => Promise<void>): Promise<void> {
    const owner = await ownerOf(connection);
    await anyhop(0, 'drain', owner, '--force');
    try {
      assert.notEqual(await ownerOf(connection), owner, 'the slot has not moved');
      await then(owner);
      connection.reset();
    } finally {
      await anyhop(0, 'undrain', owner, '--force');
    }
  }

  function halfOpenAnywhere(): number {
    return fleet.lab.servers.reduce((sum, { pid }) => sum + halfOpen(pid), 0);
  }

  function anyhop(index: number, ...args: string[]): Promise<string> {
    return run([process.execPath, PROGRAM, ...args, '--socket', fleet.lab.socket(index)]);
  }

  /** The owner of a connection's slot, by a forwarder's own word. */
  async function ownerOf({ source, destination }: RawConnection): Promise<string> {
    const { lab } = fleet;
    const flow = ['--src', source, '--dst', destination];
    return JSON.parse(await lab.anyhop(0, ['which', ...flow, '--socket', lab.socket(0), '--json'])).owner;
  }
});
