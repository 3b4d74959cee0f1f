/** `anyhop announce` beside `anyhop run`, on the link of test/engine/link.ts, and what the kernel's table then has. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AnnounceStatus } from '#anyhop/announce/status.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { FLAGS, MAIN, type RunConfig, startRun, writeFleet } from '../cli/run-fixture.js';
import { LINK, type NodeLink } from '../engine/link.js';
import { VIP4, VIP6 } from '../forward/fixture.js';

export const TABLE = 179;
export const RISE_MS = 300;
/** For what takes milliseconds on a machine with nothing else to do. */
export const SOON_MS = 15_000;
const LOOK_MS = 20;
const COMMAND_MS = 30_000;

/** `192.0.2.1 100` for each of anyhop's rows, in order. */
export type Rows = readonly string[];
export const ANNOUNCED: Rows = [`${VIP4} 100`, `${VIP6} 100`];
export const DRAINING: Rows = [`${VIP4} 200`, `${VIP6} 200`];
export const NONE: Rows = [];

export class Announcing {
  readonly link: NodeLink & { readonly bpffs: string };
  file: string;

  constructor(link: NodeLink & { readonly bpffs: string }, config: RunConfig = {}) {
    this.link = link;
    this.file = this.write(config);
  }

  /** A file for the engine xdp unless `node` says otherwise. */
  write({ node, announce, ...config }: RunConfig = {}): string {
    const { bpffs, resources } = this.link;
    return writeFleet(this.link, {
      ...config,
      node: { engine: 'xdp', bpffs, ...node },
      announce: { rise: `${RISE_MS}ms`, socket: join(resources.directory, 'announce.sock'), ...announce },
    });
  }

  startNode(): Promise<LabProcess> {
    return startRun(this.link, ['-c', this.file, ...FLAGS]);
  }

  /** Resolves when it follows the node. */
  async startAnnouncer(): Promise<LabProcess> {
    const argv = [process.execPath, MAIN, 'announce', '-c', this.file, '--name', 'edge-1'];
    const started = await this.link.resources.startProcess('anyhop announce', this.link.node, argv);
    await started.waitForEvent('following', SOON_MS);
    return started;
  }

  /** `anyhop announce` with options, to its end. */
  command(...args: string[]): SpawnSyncReturns<string> {
    return this.anyhop('announce', '-c', this.file, '--name', 'edge-1', ...args);
  }

  anyhop(...args: string[]): SpawnSyncReturns<string> {
    const [program = '', ...rest] = inNamespace(this.link.node, [process.execPath, MAIN, ...args]);
    return spawnSync(program, rest, { encoding: 'utf8', timeout: COMMAND_MS });
  }

  /** `anyhop stop`, to its end. */
  stop(): SpawnSyncReturns<string> {
    return this.anyhop('stop', '-c', this.file, '--interface', LINK, '--bpffs', this.link.bpffs);
  }

  status(): AnnounceStatus {
    const { status, stdout, stderr } = this.command('--status', '--json');
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as AnnounceStatus;
  }

  /** Of all programs, in the table. */
  async rows(table = TABLE): Promise<Rows> {
    const lists = await Promise.all(
      ['-4', '-6'].map((family) =>
        run(inNamespace(this.link.node, ['ip', family, '-json', 'route', 'show', 'table', String(table)]), {
          mayFail: true, // there is no such table yet, and half an answer
        }),
      ),
    );
    const rows = lists.flatMap(
      (text) => JSON.parse(text.includes(']') ? text : '[]') as { dst: string; metric?: number }[],
    );
    return rows.map(({ dst, metric = 0 }) => `${dst} ${metric}`);
  }

  /** Waits for these rows. @returns milliseconds that it took */
  async waitForRows(wanted: Rows, timeoutMs = SOON_MS): Promise<number> {
    const startMs = performance.now();
    for (;;) {
      const rows = await this.rows();
      const tookMs = performance.now() - startMs;
      if (JSON.stringify(rows) === JSON.stringify(wanted)) return tookMs;
      if (tookMs > timeoutMs) assert.deepEqual(rows, wanted, `within ${timeoutMs} ms`);
      await delay(LOOK_MS);
    }
  }

  /** Records what becomes of routes in the table from now on. */
  async watchRows(): Promise<{ readonly lines: () => readonly string[] }> {
    const { resources, node } = this.link;
    const monitor = await resources.startProcess('ip monitor', node, ['ip', 'monitor', 'route']);
    // It does not say when it listens: a new row elsewhere shows it.
    for (let tries = 1; tries < 250 && monitor.lines.length === 0; tries++) {
      await this.link.onNode('ip', 'route', 'add', 'blackhole', `198.51.100.${tries}`, 'table', '7');
      await delay(LOOK_MS);
    }
    assert.ok(monitor.lines.length > 0, 'ip monitor says something');
    return { lines: () => monitor.lines.filter((line) => line.includes(`table ${TABLE}`)) };
  }
}
