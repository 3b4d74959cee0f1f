/**
 * A neighbour that asks an IPv6 VIP of the active node by unicast whether it is still there (RFC 4861 section 7.3.3, from a link-local
 * address) is answered by the host, with each engine. Without the answer its entry fails, and it starts over by multicast.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LabProcess } from '../../scripts/lab/process.js';
import { missingForIsolation } from '../isolation.js';
import { createPair, LINK, type Pair, PORT, VIP6 } from './pair.js';

const WAIT_MS = 30_000;
const POLL_MS = 50;
/** How many unicast probes are seen to be answered. */
const PROBES = 3;
/** The client's timers: a second at most until it asks, and one more. */
const TIMERS = [
  'base_reachable_time_ms=1000',
  'delay_first_probe_time=1',
  'retrans_time_ms=300',
  'ucast_solicit=10',
];

describe('an IPv6 VIP that is an address of the host', {
  skip: missingForIsolation('ethtool', 'nft'),
}, () => {
  for (const engine of ['xdp', 'af_xdp', 'portable']) {
    test(`answers a neighbour that asks by unicast, with engine ${engine}`, {
      timeout: 120_000,
    }, async (t) => {
      const pair = await createPair('vip', { engine });
      try {
        await answersProbes(t, pair);
      } finally {
        await pair.resources.close();
      }
    });
  }
});

async function answersProbes(t: TestContext, pair: Pair): Promise<void> {
  await pair.startNode('a');
  await pair.on('a', 'ip', 'addr', 'add', `${VIP6}/128`, 'dev', LINK, 'nodad');
  await pair.on('client', 'sysctl', '-qw', ...TIMERS.map((timer) => `net.ipv6.neigh.${LINK}.${timer}`));
  const monitor = await pair.start('client', 'ip monitor', ['ip', '-6', 'monitor', 'neigh', 'dev', LINK]);
  const file = fileURLToPath(new URL('datagrams.js', import.meta.url));
  const client = await pair.start('client', 'client', [process.execPath, file, 'ask', String(PORT), VIP6]);
  await client.waitForLine((line) => line === `answered ${VIP6}`, `answer of ${VIP6}`, WAIT_MS);

  const deadline = performance.now() + WAIT_MS;
  let states = statesOf(monitor);
  while (answeredIn(states) < PROBES && !states.includes('FAILED') && performance.now() < deadline) {
    await delay(POLL_MS);
    states = statesOf(monitor);
  }
  t.diagnostic(states.join(' '));
  assert.ok(
    !states.includes('FAILED') && answeredIn(states) >= PROBES,
    `${states.join(' ')}\n${monitor.tail()}`,
  );
  const status = await pair.anyhop('a', 'status', '--json', '--socket', pair.file('a.sock'));
  const { pass_neighbour: passed } = JSON.parse(status).verdicts;
  assert.ok(passed?.packets >= PROBES, status);
}

/** Of the client's entry for the VIP, as the kernel told: REACHABLE, STALE, PROBE, FAILED. */
function statesOf(monitor: LabProcess): string[] {
  return monitor.lines
    .filter((line) => line.startsWith(`${VIP6} `))
    .flatMap((line) => /\b(?:REACHABLE|STALE|DELAY|PROBE|FAILED|INCOMPLETE)\b/.exec(line) ?? []);
}

function answeredIn(states: readonly string[]): number {
  return states.filter((state, i) => state === 'REACHABLE' && states[i - 1] === 'PROBE').length;
}
