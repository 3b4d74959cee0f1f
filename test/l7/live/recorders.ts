/**
 * Servers that tell what they understood of the requests that came: Node's parser, the same when it forgives, and nginx. A desync
 * between a proxy and a server shows as a request that no client sent, as bytes that a server cannot parse, or as an answer to
 * another request.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startOddServer } from '../../../scripts/lab/l7/odd.js';
import type { Resources } from '../../../scripts/lab/resources.js';
import { eventually } from '../run-fixture.js';

/** A whole request as the server understood it. */
export interface Understood {
  readonly method: string;
  /** With the query, as it came. */
  readonly path: string;
  /** Bytes as latin1 text. */
  readonly body: string;
  /** Value of `X-Probe`, empty without one. */
  readonly probe: string;
  /** Value of `X-Request-Id`; several are joined. */
  readonly id: string;
}

export interface Recorder {
  readonly name: string;
  /** All so far, in their order. */
  requests(): readonly Understood[];
  /** What the server could not parse, in its own words. A request that was cut off does not count. */
  complaints(): readonly string[];
}

/** As Node tells of a connection that ended within a request: of bytes that it cannot parse it says more than this. */
const CUT_OFF = /^Parse Error$|Invalid EOF state|ECONNRESET|aborted/;

/** @param lenient whether Node's parser forgives what it should not */
export async function startNode(
  resources: Resources,
  namespace: string,
  where: {
    readonly name: string;
    readonly address: string;
    readonly port: number;
    readonly lenient: boolean;
  },
): Promise<Recorder> {
  const { process } = await startOddServer(resources, { ...where, protocol: 'http1' }, namespace);
  const requests: Understood[] = [];
  const complaints: string[] = [];
  process.onLine((line) => {
    if (!line.startsWith('{')) return; // a stack trace: what waits for the server fails
    const event = JSON.parse(line);
    if (event.event === 'refused' && !CUT_OFF.test(event.reason)) complaints.push(line);
    if (event.event !== 'request') return;
    const values = (wanted: string): string =>
      event.headers
        .filter(([name]: [string]) => name.toLowerCase() === wanted)
        .map(([, value]: [string, string]) => value)
        .join(', ');
    const { method, path, body } = event;
    requests.push({ method, path, body, probe: values('x-probe'), id: values('x-request-id') });
  });
  return { name: where.name, requests: () => requests, complaints: () => complaints };
}

const UNDERSTOOD =
  '{"method":"$request_method","path":"$request_uri","body":"$request_body","probe":"$http_x_probe","id":"$http_x_request_id","whole":"$request_completion"}';
/** "client sent invalid header line" and the like; not "client prematurely closed connection". */
const COMPLAINT = /client sent/;

/** nginx reads whole requests, as it does for servers behind it, and logs them. */
export async function startNginx(
  resources: Resources,
  namespace: string,
  { name, address, port }: { readonly name: string; readonly address: string; readonly port: number },
): Promise<Recorder> {
  const directory = join(resources.directory, name);
  mkdirSync(directory);
  const file = (relative: string): string => join(directory, relative);
  writeFileSync(file('nginx.conf'), nginxConfig(directory, `${address}:${port}`));
  const argv = ['nginx', '-p', directory, '-c', file('nginx.conf'), '-e', file('error.log')];
  const nginx = await resources.startProcess(`nginx ${name}`, namespace, argv);
  await eventually('nginx listens', () => {
    if (!nginx.running) throw new Error(`nginx ended\n${nginx.tail()}${readFileSync(file('error.log'))}`);
    return existsSync(file('nginx.pid'));
  });
  const lines = (log: string): string[] => readFileSync(file(log), 'latin1').split('\n').slice(0, -1);
  return {
    name,
    requests: () =>
      lines('understood.log')
        .map((line) => JSON.parse(line))
        .filter(({ whole }) => whole === 'OK')
        .map(({ whole: _, ...understood }) => understood),
    complaints: () => lines('error.log').filter((line) => COMPLAINT.test(line)),
  };
}

function nginxConfig(directory: string, listen: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi'].map(
    (kind) => `${kind}_temp_path ${directory}/${kind};`,
  );
  return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
events { worker_connections 512; }
error_log ${directory}/error.log info;
http {
  log_format understood escape=json '${UNDERSTOOD}';
  access_log off;
  keepalive_requests 100000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  client_body_in_single_buffer on;
  ${temporary.join('\n  ')}
  server {
    listen ${listen};
    location / {
      access_log ${directory}/understood.log understood;
      proxy_pass http://unix:${directory}/answer.sock;
    }
  }
  server {
    listen unix:${directory}/answer.sock;
    location / { return 200 '{"path":"$request_uri"}'; }
  }
}
`;
}
