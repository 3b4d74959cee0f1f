/** A fleet file for `anyhop run` on the link of test/engine/link.ts, and the command as a user starts it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inNamespace } from '../../scripts/lab/command.js';
import type { LabProcess, LogEvent } from '../../scripts/lab/process.js';
import { here, LINK, type NodeLink } from '../engine/link.js';
import { Peer } from '../engine/peer.js';
import type { WireRequest } from '../engine/wire-process.js';
import { VIP4, VIP6 } from '../forward/fixture.js';
import { NODE_MAC } from '../packets/build.js';

export const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
export const READY_TIMEOUT_MS = 30_000;
const REFUSAL_TIMEOUT_MS = 20_000;
const ARRIVAL_MS = 3000;

export interface RunConfig {
  readonly node?: object;
  readonly backends?: readonly string[];
  /** Of the pool that all services use. */
  readonly health?: object;
  /** Pools more, by name, each with its check: backends that nobody reaches. */
  readonly checks?: Readonly<Record<string, object>>;
  /** The section of that name. */
  readonly announce?: object;
}

/** Writes the file, for the portable engine; what `node` leaves out is for flags and environment. */
export function writeFleet(
  link: NodeLink,
  { node = {}, backends = ['10.1.0.11', '10.1.0.12'], health, checks = {}, announce }: RunConfig = {},
): string {
  const file = join(link.resources.directory, 'fleet.yaml');
  const service = (vip: string): object => ({
    name: `web-${vip.length}`,
    vip,
    protocol: 'tcp',
    port: 80,
    pool: 'web',
  });
  const config = {
    ...(announce && { announce }),
    node: {
      engine: 'portable',
      key: '00112233445566778899aabbccddeeff',
      socket: join(link.resources.directory, 'control.sock'),
      // Of each file its own: another one is no change of the one before.
      state_dir: mkdtempSync(join(link.resources.directory, 'state-')),
      ...node,
    },
    pools: {
      web: {
        ...(health && { health }),
        backends: backends.map((address, i) => ({ name: `web-${i}`, address })),
      },
      ...Object.fromEntries(
        Object.entries(checks).map(([name, check], i) => [
          name,
          {
            health: { interval: '200ms', timeout: '100ms', port: 8000, ...check },
            backends: [{ name: `${name}-0`, address: `10.1.1.${i + 1}` }],
          },
        ]),
      ),
    },
    services: [
      service(VIP4),
      service(VIP6),
      ...Object.keys(checks).map((pool, i) => ({
        name: pool,
        vip: VIP4,
        protocol: 'tcp',
        port: 8000 + i,
        pool,
      })),
    ],
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

/** Runs `anyhop stop` on the node. */
export function runStop(link: NodeLink, ...args: string[]): Refusal & { readonly stdout: string } {
  const [program = '', ...rest] = inNamespace(link.node, [process.execPath, MAIN, 'stop', ...args]);
  return spawnSync(program, rest, { encoding: 'utf8', timeout: REFUSAL_TIMEOUT_MS });
}

export const FLAGS = ['--name', 'edge-1', '--interface', LINK, '--source', '10.0.0.1'];

export interface Refusal {
  readonly status: number | null;
  readonly stderr: string;
}

/** Runs `anyhop run` on the node to the end that it is expected to come to by itself. */
export function refusal(
  link: NodeLink,
  args: readonly string[],
  { prefix = [], env = {} }: { prefix?: readonly string[]; env?: Record<string, string> } = {},
): Refusal {
  const [program = '', ...rest] = inNamespace(link.node, [...prefix, process.execPath, MAIN, 'run', ...args]);
  const { status, stderr } = spawnSync(program, rest, {
    encoding: 'utf8',
    timeout: REFUSAL_TIMEOUT_MS,
    env: { ...process.env, ...env },
  });
  return { status, stderr };
}

/** Starts `anyhop run` on the node, through a command like `env NAME=value`; resolves once it is ready. */
export async function startRun(
  link: NodeLink,
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<LabProcess> {
  const argv = [...prefix, process.execPath, MAIN, 'run', ...args];
  const started = await link.resources.startProcess('anyhop run', link.node, argv);
  await started.waitForEvent('ready', READY_TIMEOUT_MS);
  return started;
}

/** The log line with the final counters. */
export function finalCounters(run: LabProcess): LogEvent & {
  engine: { received: number; sent: number; sendFailed: number; missed: number };
  verdicts: Record<string, number>;
} {
  return run.events.find(({ event }) => event === 'counters') as never;
}

/** Sends frames to the node; counts what comes back wrapped, by the outer family. */
export async function sendFlows(
  link: NodeLink,
  frames: Uint8Array[],
): Promise<{ gre4: number; gre6: number }> {
  const filter = `ether src ${NODE_MAC} and (ip proto 47 or ip6 proto 47)`;
  const wire = new Peer<WireRequest>(link.peer, here('wire-process.js'), [LINK, filter]);
  try {
    await wire.hello();
    await wire.ask({ send: frames });
    const back = (await wire.ask({ take: frames.length, milliseconds: ARRIVAL_MS })) as Uint8Array[];
    const gre6 = back.filter((bytes) => bytes[12] === 0x86).length;
    return { gre4: back.length - gre6, gre6 };
  } finally {
    await wire.close();
  }
}
