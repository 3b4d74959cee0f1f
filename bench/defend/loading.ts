/** How long do a million prefixes take from a file to being in force? Read, compiled and handed over as a node does it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListSource } from '#anyhop/config/defend/types.js';
import { createLog } from '#anyhop/core/log.js';
import { DefendLists } from '#anyhop/lists/defend-lists.js';
import { parsePrefix } from '#anyhop/packet/address.js';
import { median, report } from '../report.js';
import { spread } from '../xdp/harness.js';
import { listText } from './prefixes.js';

const RELOAD_MS = 60_000;

/** A file of blocked prefixes, as long as `use` takes. */
export async function withListFile<T>(prefixes: number, use: (path: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-bench-'));
  try {
    const path = join(directory, 'block.txt');
    writeFileSync(path, listText(prefixes));
    return await use(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Loaded {
  readonly compiled: Uint8Array;
  /** From the config to what can be published; the processor time is that of all threads. */
  readonly ms: number;
  readonly cpuMs: number;
}

/** @param prefix blocked beside the file's */
export async function load(path: string, prefix?: string): Promise<Loaded> {
  const block: ListSource[] = [{ kind: 'file', path, reloadMs: RELOAD_MS }];
  if (prefix !== undefined) block.push({ kind: 'prefix', prefix: parsePrefix(prefix)! });
  const start = performance.now();
  const cpu = process.cpuUsage();
  let loaded: Loaded | undefined;
  const lists = new DefendLists({
    log: createLog('silent'),
    file: undefined,
    publish: async (compiled) => {
      const { user, system } = process.cpuUsage(cpu);
      const ms = performance.now() - start;
      if (compiled !== undefined) loaded = { compiled, ms, cpuMs: (user + system) / 1000 };
      return true;
    },
  });
  await lists.use({ allow: [], block, maxShrink: 1 });
  await lists.close();
  if (loaded === undefined) throw new Error(`${path} could not be loaded`);
  return loaded;
}

export async function measureLoading(path: string, prefixes: number, times: number): Promise<void> {
  const loads: Loaded[] = [];
  for (let i = 0; i < times; i++) loads.push(await load(path));
  const took = loads.map(({ ms }) => ms);
  const cpu = loads.map(({ cpuMs }) => cpuMs);
  report({
    bench: `defend, ${prefixes.toLocaleString('en')} prefixes from a file to their compiled form`,
    value: median(took) / 1000,
    unit: 's',
    target: 2,
    note:
      `ms: ${spread(took, 0)}, of processor time ${median(cpu).toFixed(0)}; ` +
      `${(loads[0].compiled.length / 2 ** 20).toFixed(1)} MiB`,
  });
}
