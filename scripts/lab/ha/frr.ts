/**
 * FRR in a machine of the lab: its daemons in the foreground, each with its files in the lab's directory, and one configuration for all of
 * them, which vtysh hands out. They drop their privileges, so the directory is theirs.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../command.js';
import type { LabProcess } from '../process.js';
import type { Resources } from '../resources.js';

const PROGRAMS = '/usr/lib/frr';
const USER = 'frr';
/** In the order in which they are started: the others connect to zebra. */
const DAEMONS = ['zebra', 'bfdd', 'bgpd'] as const;
const READY_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 50;

/** False when it is there; otherwise what is missing, the value of a test's `skip`. */
export const withoutFrr: string | false =
  !DAEMONS.every((daemon) => existsSync(join(PROGRAMS, daemon))) && 'needs frr';

export interface Frr {
  readonly daemons: readonly LabProcess[];
  /** What vtysh prints to commands. */
  ask(...commands: string[]): Promise<string>;
  /** Waits until so many BGP sessions are established. */
  untilEstablished(sessions: number, timeoutMs: number): Promise<void>;
}

/** Starts it on a machine; resolves when the daemons have taken their parts of the configuration. */
export async function startFrr(
  resources: Resources,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  config: string,
): Promise<Frr> {
  chmodSync(resources.directory, 0o711);
  const directory = join(resources.directory, `frr-${name}`);
  const file = join(directory, 'frr.conf');
  const of = (kind: string): string => join(directory, kind);
  execFileSync('install', ['-d', '-o', USER, '-g', USER, directory]);
  writeFileSync(file, config);
  // A file of its own keeps each daemon from that in /etc.
  writeFileSync(of('empty.conf'), '', { mode: 0o644 });
  const daemons: LabProcess[] = [];
  for (const daemon of DAEMONS) {
    const files = [
      '-f',
      of('empty.conf'),
      '-i',
      of(`${daemon}.pid`),
      '-z',
      of('zserv.api'),
      '--vty_socket',
      directory,
    ];
    const own = daemon === 'bfdd' ? ['--bfdctl', of('bfdd.sock')] : [];
    const argv = [join(PROGRAMS, daemon), ...files, ...own, '-A', '127.0.0.1', '-P', '0', '--log', 'stdout'];
    const process = await resources.startProcess(`${daemon} ${name}`, namespace, argv);
    daemons.push(process);
    await until(() => existsSync(of(`${daemon}.vty`)), process);
  }
  const vtysh = (...args: string[]): Promise<string> => run(['vtysh', '--vty_socket', directory, ...args]);
  await vtysh('-f', file);
  const ask = (...commands: string[]): Promise<string> =>
    vtysh(...commands.flatMap((command) => ['-c', command]));
  return {
    daemons,
    ask,
    async untilEstablished(sessions, timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const summary = await ask('show bgp summary json');
        if (establishedOf(summary) >= sessions) return;
        if (Date.now() > deadline)
          throw new Error(`frr ${name}: not ${sessions} sessions within ${timeoutMs} ms\n${summary}`);
        await delay(POLL_INTERVAL_MS);
      }
    },
  };
}

async function until(holds: () => boolean, process: LabProcess): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!holds()) {
    if (!process.running || Date.now() > deadline)
      throw new Error(`${process.name} does not answer\n${process.tail()}`);
    await delay(POLL_INTERVAL_MS);
  }
}

/** Sessions that are up, in what `show bgp summary json` prints. */
export function establishedOf(summary: string): number {
  const families = Object.values(
    JSON.parse(summary) as Record<string, { peers?: Record<string, { state: string }> }>,
  );
  const peers = families.flatMap(({ peers }) => Object.entries(peers ?? {}));
  return new Set(peers.filter(([, { state }]) => state === 'Established').map(([peer]) => peer)).size;
}
