/**
 * A flood of packets for the node itself: the host's stack takes them, no VIP is concerned, and no check of a backend may suffer.
 * How fast the flood was stands in the test's output: a slow machine makes a slower one.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { EngineChoice } from '#anyhop/config/types.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';

const TRAFFIC = fileURLToPath(new URL('../../scripts/traffic.js', import.meta.url));
const TIMEOUT_MS = 120_000;
const SECONDS = 5;
/** A check that is taken down in the shortest time: three failures in a row take 1.5 s. */
const HEALTH = { kind: 'tunnel', interval: '500ms', timeout: '450ms' };
const PORTABLE_RATE = 100_000;
const RATE = 400_000;

interface Way {
  /** Where the flood starts, through which interface, and to which MAC address. */
  readonly from: string;
  readonly link: string;
  readonly mac: string;
}

async function macOf(lab: Lab, namespace: string, link: string): Promise<string> {
  const [{ address }] = JSON.parse(await lab.exec(namespace, ['ip', '-json', 'link', 'show', link]));
  return address;
}

/**
 * The generator's packets arrive where the far end of a link has an XDP program. The node has one, unless it runs the portable
 * engine: then the flood starts at the client, and the router forwards it.
 */
async function wayFor(lab: Lab, engine: EngineChoice): Promise<Way> {
  const { client, router } = lab;
  const node = lab.forwarders[0]!;
  return engine === 'portable'
    ? { from: client.namespace, link: 'eth0', mac: await macOf(lab, router, client.name) }
    : { from: router, link: node.name, mac: await macOf(lab, node.namespace, 'eth0') };
}

async function flood(lab: Lab, engine: EngineChoice, targets: readonly string[]): Promise<string> {
  const { from, link, mac } = await wayFor(lab, engine);
  const rate = engine === 'portable' ? PORTABLE_RATE : RATE;
  const made = JSON.parse(
    await lab.exec(from, [
      ...[process.execPath, TRAFFIC, '--json', '--interface', link, '--mac', mac, '--syn', '25'],
      ...['--rate', String(rate), '--count', String(rate * SECONDS), '--seconds', String(SECONDS)],
      ...targets.flatMap((target) => ['--to', target]),
    ]),
  );
  return `${Math.round(made.rate)} of ${rate} packets a second for ${made.seconds.toFixed(1)} s`;
}

const marksOf = (forwarder: LabProcess): string[] =>
  forwarder.events.filter(({ event }) => event === 'health').map(({ msg }) => String(msg));

/** Packets that the raw sockets of a process's network namespace had no room for: the last column (net/ipv4/raw.c). */
function droppedByRawSockets({ pid }: LabProcess): number[] {
  return ['raw', 'raw6'].flatMap((file) =>
    readFileSync(`/proc/${pid}/net/${file}`, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => Number(line.trim().split(/\s+/).at(-1))),
  );
}

for (const engine of ['xdp', 'af_xdp', 'portable'] as const) {
  describe(`with ${engine}, a flood for the node's own address`, {
    skip: missingForLab()?.message ?? false,
  }, () => {
    test('of TCP, or of TCP, UDP and ICMP, changes no health mark', {
      timeout: TIMEOUT_MS,
    }, async (context) => {
      const lab = await createLab({ forwarders: 1, backends: 2, engine, pool: { health: HEALTH } });
      try {
        const forwarder = (await lab.startAll()).forwarders[0]!;
        const before = marksOf(forwarder);
        assert.equal(before.filter((mark) => mark.includes(' is up')).length, 8);
        const { host4, host6 } = lab.forwarders[0]!;
        const tcp = [`tcp:${host4}:443`, `tcp:[${host6}]:443`];
        context.diagnostic(`TCP: ${await flood(lab, engine, tcp)}`);
        assert.deepEqual(marksOf(forwarder), before);
        const others = [`udp:${host4}:53`, `udp:[${host6}]:53`, `icmp:${host4}`, `icmp:[${host6}]`];
        context.diagnostic(`TCP, UDP, ICMP: ${await flood(lab, engine, [...tcp, ...others])}`);
        assert.deepEqual(marksOf(forwarder), before);
        const dropped = droppedByRawSockets(forwarder);
        assert.ok(
          dropped.length >= 4,
          'the sockets of the checks are there: two that send, two that receive',
        );
        assert.deepEqual(new Set(dropped), new Set([0]));
      } finally {
        await lab.close();
      }
    });
  });
}
