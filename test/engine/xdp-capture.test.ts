/** Packets of the engine `xdp` are captured by its pins, while its process runs, is killed, is replaced and stops. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { MappedArray } from '#anyhop/ffi/map.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { inside } from '../../scripts/native/attached.js';
import { Generator } from '../../scripts/native/generator.js';
import { imageOf, VIP4 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { NODE_MAC, ROUTER_MAC } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';
import type { CaptureRequest, Tally } from './capture-process.js';
import type { EngineRequest } from './engine-process.js';
import { createXdpLink, here, LINK } from './link.js';
import { Peer } from './peer.js';

const PACKETS = 100_000;
/** Packets a second that a reader can follow on a busy machine: the ring holds some 20,000. */
const RATE = 40_000;
const WAIT_MS = 20_000;
const FILTER = { sample: 1, snapLength: 64 } as const;

describe('a capture of the engine xdp', { skip: missingForIsolation('ethtool') }, () => {
  let link: Awaited<ReturnType<typeof createXdpLink>>;
  let engine: Peer<EngineRequest>;
  let generator: Generator;
  const captures: Peer<CaptureRequest>[] = [];

  const image = (generation: number, backends = 2) =>
    imageOf({
      generation,
      mac: macBytes(NODE_MAC),
      pools: { web: Array.from({ length: backends }, (_, i) => ({ address: `10.1.${i >> 8}.${i & 255}` })) },
    });
  const startEngine = async (generation: number, backends?: number): Promise<void> => {
    engine = new Peer(link.node, here('engine-process.js'), ['xdp', LINK, link.bpffs]);
    await engine.ask({ ask: 'start', image: image(generation, backends).bytes });
  };
  const startCapture = (): Peer<CaptureRequest> => {
    const capture = new Peer<CaptureRequest>(link.node, here('capture-process.js'), [LINK, link.bpffs]);
    captures.push(capture);
    return capture;
  };
  const tally = async (capture: Peer<CaptureRequest>): Promise<Tally> =>
    (await capture.ask({ ask: 'tally' })) as Tally;
  const send = (packets: number): Promise<unknown> =>
    inside(link.peer, () => generator.run({ packets, seconds: 60, rate: RATE }));
  const verdicts = async (): Promise<Record<string, number>> =>
    ((await engine.ask({ ask: 'counters' })) as { verdicts: Record<string, number> }).verdicts;
  /** Sends packets until something holds. */
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + WAIT_MS; !(await holds()); await send(200))
      assert.ok(Date.now() < end, `${what} within ${WAIT_MS} ms`);
  };
  /** Of the set in force, by the pins. */
  const isArmed = (): boolean => {
    const [namespace] = readdirSync(join(link.bpffs, 'anyhop'));
    const directory = join(link.bpffs, 'anyhop', namespace, LINK);
    const set = readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .at(-1)!;
    const map = MappedArray.pinned(join(directory, set, 'capture'));
    try {
      return new DataView(map.memory).getUint32(L.CAPTURE_ARMED, true) === 1;
    } finally {
      map.close();
    }
  };

  before(async () => {
    link = await createXdpLink();
    await startEngine(1);
    const [{ ifindex }] = JSON.parse(await link.onPeer('ip', '-json', 'link', 'show', 'dev', LINK));
    const target = (address: string, port: number, protocol: 'tcp' | 'udp' | 'icmp') =>
      ({ address: parseAddress(address)!, port, protocol }) as const;
    generator = new Generator({
      interfaceIndex: ifindex,
      sourceMac: ROUTER_MAC,
      destinationMac: NODE_MAC,
      targets: [
        target(VIP4, 80, 'tcp'),
        target(VIP4, 81, 'tcp'),
        target(VIP4, 53, 'udp'),
        target(VIP4, 0, 'icmp'),
      ],
      flows: 4096,
      sizes: [64, 300],
      synShare: 0.1,
    });
  });
  after(async () => {
    for (const capture of captures) await capture.close();
    generator?.close();
    await engine?.close();
    await link?.resources.close();
  });

  it('knows the names of services and backends', async () => {
    const names = (await startCapture().ask({ ask: 'names' })) as {
      services: { name: string; pool: string }[];
      backends: { name: string }[];
    };
    assert.deepEqual(names.services.map(({ name, pool }) => `${name} ${pool}`).sort(), [
      's0 web',
      's1 web',
      's2 web',
      's3 web',
    ]);
    assert.deepEqual(
      names.backends.map(({ name }) => name),
      ['b0', 'b1'],
    );
  });

  it(`has as many records of ${PACKETS} packets as are counted, by verdict`, async () => {
    const capture = startCapture();
    await capture.ask({ ask: 'arm', filter: FILTER });
    const before = await verdicts();
    await send(PACKETS);
    const counted = await verdicts();
    const { verdicts: recorded, lost } = (await capture.ask({ ask: 'close' })) as Tally;
    const rows = VERDICTS.filter(({ action }) => action !== 'pass').map(({ name }) => ({
      name,
      counted: (counted[name] ?? 0) - (before[name] ?? 0),
      recorded: recorded[name] ?? 0,
    }));
    console.log(`${lost} of ${PACKETS} records were lost`);
    console.log(
      rows
        .filter((row) => row.counted > 0)
        .map((row) => `${row.name} ${row.counted}`)
        .join(', '),
    );
    const sum = (of: (row: (typeof rows)[number]) => number): number =>
      rows.reduce((all, row) => all + of(row), 0);
    assert.ok(rows.filter((row) => row.counted > 0).length >= 3);
    for (const row of rows) {
      if (lost === 0) assert.equal(row.recorded, row.counted, row.name);
      else assert.ok(row.recorded <= row.counted, row.name);
    }
    assert.ok(
      Math.abs(sum((row) => row.recorded) + lost - sum((row) => row.counted)) <= (lost === 0 ? 0 : lost),
    );
    await until('disarmed', async () => !isArmed());
  });

  it('is disarmed by the program when its reader is killed, and the next reader goes on', async () => {
    const capture = startCapture();
    await capture.ask({ ask: 'arm', filter: FILTER });
    assert.ok(isArmed());
    const other = startCapture();
    await assert.rejects(other.ask({ ask: 'arm', filter: FILTER }), { code: 'ERR_INTERFACE' });
    await capture.kill();
    const killed = Date.now();
    await until('disarmed', async () => !isArmed());
    console.log(`disarmed ${Date.now() - killed} ms after its reader was killed`);
    await other.ask({ ask: 'arm', filter: FILTER });
    await until('records', async () => ((await tally(other)).verdicts['forwarded'] ?? 0) > 0);
    await other.ask({ ask: 'close' });
  });

  it('goes on while the process of the engine is killed, and with the program that replaces it', async () => {
    const capture = startCapture();
    await capture.ask({ ask: 'arm', filter: FILTER });
    await engine.kill();
    const before = (await tally(capture)).verdicts['forwarded'] ?? 0;
    await until(
      'records without a process',
      async () => ((await tally(capture)).verdicts['forwarded'] ?? 0) > before,
    );
    await startEngine(2, 5000); // it has outgrown the maps
    await until('records of the next program', async () => (await tally(capture)).generations.includes(2));
    assert.equal((await tally(capture)).isOver, false);
    await engine.ask({ ask: 'stop' });
    for (const end = Date.now() + WAIT_MS; !(await tally(capture)).isOver; await delay(20))
      assert.ok(Date.now() < end, 'it ends when nothing is in force any more');
  });
});
