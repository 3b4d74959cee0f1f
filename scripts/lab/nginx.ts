/**
 * A real web server: Debian's nginx, all its files in one directory of its own. It names itself in the header `X-Backend` and in
 * the body.
 *
 *   /large    LARGE_BYTES of text
 *   /upload   reads the request's body and answers with the server's name
 *   others    the server's name
 *
 * A backend's listens on the VIPs and, for health checks, on the backend's own addresses. While a file `broken` is in its
 * directory, it answers 500 to everything.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LabProcess } from './process.js';
import type { Resources } from './resources.js';
import { type Host, VIP4, VIP6 } from './topology.js';

/** The second port carries the services whose outer IP version is not the inner one. */
export const HTTP_PORTS = [80, 8080] as const;
export const LARGE_BYTES = 256 * 1024;

const READY_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 20;

/** Starts nginx on a backend, or on another machine, on these addresses and ports; resolves when it listens. */
export async function startNginx(
  resources: Resources,
  backend: Host,
  listen = backendListens(backend),
): Promise<LabProcess> {
  const directory = nginxDirectory(resources, backend);
  mkdirSync(directory, { recursive: true }); // it is there when nginx is started again
  rmSync(join(directory, 'nginx.pid'), { force: true }); // of one that was killed
  writeFileSync(join(directory, 'large'), 'anyhop\n'.repeat(LARGE_BYTES).slice(0, LARGE_BYTES));
  writeFileSync(join(directory, 'nginx.conf'), nginxConfig(backend.name, listen, directory));
  const argv = ['nginx', '-p', directory, '-c', join(directory, 'nginx.conf'), '-e', 'stderr'];
  const nginx = await resources.startProcess(`nginx ${backend.name}`, backend.namespace, argv);
  // nginx writes the pid file once its sockets listen.
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!existsSync(join(directory, 'nginx.pid'))) {
    if (!nginx.running || Date.now() > deadline)
      throw new Error(`${nginx.name}: does not start\n${nginx.tail()}`);
    await delay(POLL_INTERVAL_MS);
  }
  return nginx;
}

/** Where a machine's nginx has its files. */
export function nginxDirectory(resources: Resources, { name }: Host): string {
  return join(resources.directory, name);
}

function backendListens({ host4, host6 }: Host): string[] {
  return HTTP_PORTS.flatMap((port) =>
    [VIP4, `[${VIP6}]`, host4, `[${host6}]`].map((address) => `${address}:${port}`),
  );
}

function nginxConfig(name: string, listen: readonly string[], directory: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi'].map(
    (kind) => `${kind}_temp_path ${directory}/${kind};`,
  );
  // One process, in the foreground: one pid to end, and no other user that would need access to the directory.
  return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 16384; }
http {
  access_log off;
  default_type text/plain;
  client_max_body_size 16m;
  ${temporary.join('\n  ')}
  server {
    add_header X-Backend ${name} always;
    ${listen.map((address) => `listen ${address};`).join('\n    ')}
    root ${directory};
    if (-f $document_root/broken) { return 500; }
    location / { return 200 "${name}\\n"; }
    location = /large { }
    # A plain "return" would answer before the body is there; a proxy waits for all of it.
    location = /upload { proxy_pass http://127.0.0.1:8081; }
  }
  server {
    listen 127.0.0.1:8081;
    location / { return 200 "${name}\\n"; }
  }
}
`;
}
