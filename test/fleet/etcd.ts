/**
 * Real etcd servers on loopback, for tests of the store:
 *
 *   const etcd = await startEtcd({ servers: 3 });
 *   etcd.servers[0].process.signal('SIGSTOP');
 *   await etcd.close();
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../scripts/lab/command.js';
import { LabProcess } from '../../scripts/lab/process.js';

const READY_MS = 30_000;
/** A busy machine stalls: three servers would elect each other all the time. */
const [HEARTBEAT_MS, ELECTION_MS] = [100, 1_000];

export interface EtcdServer {
  readonly endpoint: string;
  readonly process: LabProcess;
  /** Starts it again, with what it had; or, of one server, with what a snapshot had. */
  start(snapshot?: string): Promise<void>;
  /** kill -9 */
  kill(): Promise<void>;
}

export interface Etcd {
  readonly endpoints: string[];
  readonly servers: readonly EtcdServer[];
  readonly directory: string;
  /** @returns standard output */
  ctl(...args: string[]): Promise<string>;
  close(): Promise<void>;
}

export interface EtcdOptions {
  readonly servers?: number;
  /** Files of a certificate and of those who sign clients' certificates. */
  readonly tls?: (directory: string) => Promise<{ readonly certificate: string; readonly authority: string }>;
}

export async function startEtcd({ servers: count = 1, tls }: EtcdOptions = {}): Promise<Etcd> {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-etcd-'));
  const files = await tls?.(directory);
  const scheme = files === undefined ? 'http' : 'https';
  const ports = await freePorts(2 * count);
  const peers = ports.slice(count).map((port) => `http://127.0.0.1:${port}`);
  const cluster = peers.map((url, i) => `s${i}=${url}`).join(',');
  const servers = ports.slice(0, count).map((port, i) => {
    const endpoint = `${scheme}://127.0.0.1:${port}`;
    let data = join(directory, `s${i}`);
    let times = 0;
    const at = ['--initial-cluster', cluster, '--initial-advertise-peer-urls', peers[i]!, '--name', `s${i}`];
    const server = {
      endpoint,
      process: undefined as unknown as LabProcess,
      start: async (snapshot?: string) => {
        if (snapshot !== undefined) {
          data = join(directory, `s${i}-${++times}`);
          await run(['etcdctl', 'snapshot', 'restore', snapshot, '--data-dir', data, ...at]);
        }
        server.process = await LabProcess.start(`etcd ${i}`, undefined, [
          ...['etcd', ...at, '--data-dir', data, '--listen-peer-urls', peers[i]!],
          ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
          ...['--heartbeat-interval', String(HEARTBEAT_MS), '--election-timeout', String(ELECTION_MS)],
          ...(files === undefined
            ? []
            : [
                ...['--cert-file', files.certificate, '--key-file', files.certificate],
                ...['--trusted-ca-file', files.authority, '--client-cert-auth'],
              ]),
        ]);
        await server.process.waitForLine(
          (line) => line.includes('ready to serve'),
          'that it serves',
          READY_MS,
        );
      },
      kill: async () => {
        server.process.kill();
        await server.process.exited;
      },
    };
    return server;
  });
  await Promise.all(servers.map((server) => server.start()));
  const endpoints = servers.map(({ endpoint }) => endpoint);
  return {
    endpoints,
    servers,
    directory,
    ctl: (...args) => run(['etcdctl', '--endpoints', endpoints.join(','), ...args]),
    close: async () => {
      await Promise.all(
        servers.map(({ process: each }) => {
          if (each.running) process.kill(each.pid, 'SIGCONT');
          return each.stop();
        }),
      );
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const { port } = server.address() as { port: number };
      await new Promise((resolve) => server.close(resolve));
      return port;
    }),
  );
}
