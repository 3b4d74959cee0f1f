/**
 * Active-passive pairs as they are: `anyhop run`, `anyhop announce` and keepalived on two forwarders, with the printed config, while a
 * client sends a datagram to each VIP every 2 ms and counts what does not come back. Each test prints what it measured.
 */
import assert from 'node:assert/strict';
import { readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LabProcess } from '../../scripts/lab/process.js';
import { missingForIsolation } from '../isolation.js';
import {
  createPair,
  LINK,
  type Pair,
  type PairNode,
  type PairOptions,
  type PairShape,
  PORT,
  VIP4,
  VIP6,
} from './pair.js';

const skip = missingForIsolation('keepalived', 'ethtool');
const timeout = 120_000;
const WAIT_MS = 15_000;
/** For what must not happen, and would within a third of a second. */
const QUIET_MS = 700;
/** Nothing is lost by what anyhop and keepalived do; a busy machine may lose a datagram all the same. */
const NOTHING_MS = 100;

interface Step {
  readonly what: string;
  /** Wall clock, ms. */
  readonly at: number;
  /** Until keepalived was told by a track file. */
  readonly toldMs?: number;
  /** From then on, or from `at`. */
  readonly movedMs?: number;
}

/** A pair under traffic. */
class Trial {
  readonly pair: Pair;
  readonly steps: Step[] = [];
  readonly nodes: Partial<Record<PairNode, LabProcess>> = {};
  readonly keepers: Partial<Record<PairNode, LabProcess>> = {};
  #client: LabProcess | undefined;

  private constructor(pair: Pair) {
    this.pair = pair;
  }

  /** Forwarder a is master, b is ready, and the client has answers. */
  static async with(
    shape: PairShape,
    options: PairOptions,
    use: (trial: Trial) => Promise<void>,
  ): Promise<void> {
    const announce = { rise: '200ms', ...options.announce };
    const trial = new Trial(await createPair(shape, { ...options, announce }));
    try {
      await Promise.all(
        (['a', 'b'] as const).map(async (each) => {
          trial.nodes[each] = await trial.pair.startNode(each);
          await trial.pair.startAnnounce(each);
          await trial.number(each, 100);
        }),
      );
      for (const each of ['a', 'b'] as const) {
        trial.keepers[each] = await trial.pair.startKeepalived(each);
        await trial.mastered('a');
      }
      await trial.#startClient();
      await use(trial);
    } finally {
      await trial.pair.resources.close();
    }
  }

  async number(node: PairNode, wanted: number): Promise<void> {
    const read = (): number => {
      try {
        return Number(readFileSync(this.pair.trackFile(node), 'latin1'));
      } catch {
        return Number.NaN;
      }
    };
    const deadline = performance.now() + WAIT_MS;
    while (read() !== wanted) {
      assert.ok(performance.now() < deadline, `the track file of ${node} is ${read()} instead of ${wanted}`);
      await delay(5);
    }
  }

  /** Waits until this forwarder and no other has the addresses of both IP versions. */
  async mastered(wanted: PairNode): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const found = await this.pair.masters();
      if (found.every((who) => who === wanted)) return;
      assert.ok(
        performance.now() < deadline,
        `masters are ${found.map((who) => who || 'nobody').join(' and ')} instead of ${wanted}`,
      );
      await delay(20);
    }
  }

  /** Does it, and waits until this forwarder has the addresses, and what its keepalived said of when. */
  async moves(what: string, to: PairNode, act: () => unknown): Promise<void> {
    const became = [4, 6].map((family) => this.#entered(to, family));
    const at = Date.now();
    let told: number | undefined;
    const watchers = (['a', 'b'] as const).map((each) =>
      watch(dirname(this.pair.trackFile(each)), () => (told ??= Date.now())),
    );
    await act();
    const when = Math.max(...(await Promise.all(became)));
    for (const watcher of watchers) watcher.close();
    this.steps.push({
      what,
      at,
      movedMs: when - Math.min(told ?? at, when),
      ...(told !== undefined && { toldMs: told - at }),
    });
    await this.mastered(to);
    await delay(QUIET_MS);
  }

  /** Does it, and sees that the master stays. */
  async stays(what: string, master: PairNode, act: () => unknown): Promise<void> {
    this.steps.push({ what, at: Date.now() });
    await act();
    await delay(QUIET_MS);
    await this.mastered(master);
  }

  /** Ends the client. @returns ms of silence of the worse VIP, by step; prints them */
  async lost(t: TestContext): Promise<ReadonlyMap<string, number>> {
    const client = this.#client!;
    process.kill(client.pid, 'SIGTERM');
    await client.exited;
    const results: { sent: number; gaps: [number, number][] }[] = client.lines
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
    assert.equal(results.length, 2);
    const lost = new Map<string, number>();
    for (const [i, { what, at, toldMs, movedMs }] of this.steps.entries()) {
      const end = this.steps[i + 1]?.at ?? Number.POSITIVE_INFINITY;
      const silence = results.map(({ gaps }) =>
        gaps
          .filter(([first]) => first >= at && first < end)
          .reduce((sum, [first, last]) => sum + last - first + 2, 0),
      );
      const worst = Math.round(Math.max(...silence));
      lost.set(what, worst);
      const told = toldMs === undefined ? '' : `, told after ${toldMs} ms`;
      const moved = movedMs === undefined ? ', stays' : `, moved in ${movedMs} ms`;
      t.diagnostic(`${what}${told}${moved}, ${worst} ms without answers`);
    }
    const before = results.flatMap(({ gaps }) => gaps.filter(([first]) => first < this.steps[0]!.at));
    const silentMs = before.reduce((sum, [first, last]) => sum + last - first, 0);
    assert.ok(silentMs < NOTHING_MS, `${silentMs} ms without answers before anything happened`);
    return lost;
  }

  async #startClient(): Promise<void> {
    const file = fileURLToPath(new URL('datagrams.js', import.meta.url));
    const argv = [process.execPath, file, 'ask', String(PORT), VIP4, VIP6];
    this.#client = await this.pair.start('client', 'client', argv);
    for (const vip of [VIP4, VIP6])
      await this.#client.waitForLine((line) => line === `answered ${vip}`, `answer of ${vip}`, WAIT_MS);
    await delay(QUIET_MS / 2);
  }

  /** When keepalived next says that it is master; wall clock. */
  #entered(node: PairNode, family: number): Promise<number> {
    const keeper = this.keepers[node]!;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        stop();
        reject(new Error(`keepalived of ${node} did not become master\n${keeper.tail()}`));
      }, WAIT_MS);
      const stop = keeper.onLine((line) => {
        if (!line.includes(`(anyhop${family}) Entering MASTER STATE`)) return;
        clearTimeout(late);
        stop();
        resolve(Date.now());
      });
    });
  }
}

describe('an active-passive pair', { skip }, () => {
  test('with a floating gateway loses nothing when a node drains, is withdrawn, or loses its process', {
    timeout,
  }, async (t) => {
    await Trial.with('gateway', { node: { stop_delay: '2s' } }, async (trial) => {
      const { pair } = trial;
      await trial.stays('kill -9 of the process of a (xdp)', 'a', () => trial.nodes.a!.kill());
      await trial.moves('a withdrawn by command', 'b', () =>
        pair.anyhop('a', 'announce', '--withdraw', '-c', pair.config('a')),
      );
      await trial.stays('the program of a taken away', 'b', () =>
        pair.anyhop('a', 'stop', '-c', pair.config('a')),
      );
      await trial.stays('a back, as good as b', 'b', async () => {
        trial.nodes.a = await pair.startNode('a');
        await pair.anyhop('a', 'announce', '--resume', '-c', pair.config('a'));
        await trial.number('a', 100);
      });
      await trial.moves('b stops, with node.stop_delay 2s', 'a', () =>
        process.kill(trial.nodes.b!.pid, 'SIGTERM'),
      );
      await trial.nodes.b!.exited;
      await trial.stays('b back', 'a', async () => {
        trial.nodes.b = await pair.startNode('b');
        await trial.number('b', 100);
      });
      await trial.moves('kill -9 of keepalived on a', 'b', async () => {
        const vrrp = (await pair.on('a', 'pgrep', '-P', String(trial.keepers.a!.pid))).trim().split('\n');
        trial.keepers.a!.kill();
        for (const pid of vrrp) process.kill(Number(pid), 'SIGKILL');
        // It leaves its addresses behind.
        await pair.on('a', 'ip', 'addr', 'flush', 'dev', LINK, 'to', '10.9.0.1/32');
        await pair.on('a', 'ip', '-6', 'addr', 'flush', 'dev', LINK, 'to', 'fe80::1/128');
      });
      await trial.stays('b withdrawn without a living peer', 'b', () =>
        pair.anyhop('b', 'announce', '--withdraw', '-c', pair.config('b')),
      );
      const lost = await trial.lost(t);
      for (const [what, ms] of lost)
        if (what !== 'b withdrawn without a living peer') assert.ok(ms <= NOTHING_MS, `${what}: ${ms} ms`);
      // Nobody had the address from the fault until the node was master again by itself.
      assert.ok(lost.get('b withdrawn without a living peer')! < 3_000);
    });
  });

  test('with the VIPs themselves, and rows in the main table, loses nothing either, and keeps a master when no node is ready', {
    timeout,
  }, async (t) => {
    await Trial.with('vip', { announce: { table: 'main' } }, async (trial) => {
      const { pair } = trial;
      const withdraw = (node: PairNode) =>
        pair.anyhop(node, 'announce', '--withdraw', '-c', pair.config(node));
      await trial.moves('a withdrawn', 'b', () => withdraw('a'));
      const status = await pair.anyhop('a', 'announce', '--status', '-c', pair.config('a'));
      assert.match(status, /^keepalived is told 0 by .*track-a\/vrrp$/m);
      await trial.moves('b withdrawn too', 'a', () => withdraw('b'));
      await trial.moves('b is ready again', 'b', () =>
        pair.anyhop('b', 'announce', '--resume', '-c', pair.config('b')),
      );
      for (const [what, ms] of await trial.lost(t)) assert.ok(ms <= NOTHING_MS, `${what}: ${ms} ms`);
    });
  });

  test('of an engine that ends with its process moves at once when that is killed', {
    timeout,
  }, async (t) => {
    await Trial.with('vip', { engine: 'portable', node: { stop_delay: '1s' } }, async (trial) => {
      await trial.moves('kill -9 of the process of a (portable)', 'b', () => trial.nodes.a!.kill());
      const lost = await trial.lost(t);
      assert.ok(lost.get('kill -9 of the process of a (portable)')! < 1_000);
    });
  });
});
