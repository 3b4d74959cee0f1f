/** A listener on a port of its own, and clients that may be anything. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request as plainRequest, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { MetricsConfig } from '#anyhop/config/metrics/types.js';
import { Secret } from '#anyhop/config/secret.js';
import type { LogFields, Logger } from '#anyhop/core/log.js';
import { single } from '#anyhop/metrics/table.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { Listener, type ListenerOptions } from '#anyhop/web/listener.js';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';

export const PATIENCE_MS = 20_000;

export type Line = LogFields & { readonly level: string; readonly text: string };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What is to be undone at the end of a file. */
export class Ends {
  readonly #ends: (() => unknown)[] = [];

  add(end: () => unknown): void {
    this.#ends.push(end);
  }

  async all(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
  }
}

export async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(performance.now() < endMs, `in ${PATIENCE_MS / 1000} s: ${what}`);
    await delay(20);
  }
}

export function metricsConfig(
  rest: Partial<MetricsConfig> = {},
  host = '127.0.0.1',
  port = 0,
): MetricsConfig {
  return { listen: { address: parseAddress(host)!, port }, tls: undefined, login: undefined, ...rest };
}

export function login(user = 'prometheus', password = 'let me in'): NonNullable<MetricsConfig['login']> {
  return { user, password: new Secret(Buffer.from(password)) };
}

export interface Started {
  readonly listener: Listener;
  /** Of the last start. */
  readonly port: () => number;
  readonly lines: readonly Line[];
}

/** Resolves when it listens. */
export async function started(
  ends: Ends,
  config: MetricsConfig = metricsConfig(),
  options: Partial<ListenerOptions> = {},
  lines: Line[] = [],
): Promise<Started> {
  const keep =
    (level: string) =>
    (fields: LogFields, text: string): void =>
      void lines.push({ ...fields, level, text });
  const log: Logger = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
  let port = 0;
  const listener = new Listener(config, {
    log,
    collect: () => [single({ anyhop_ready: 1 })],
    listening: (on) => {
      port = on;
    },
    ...options,
  });
  ends.add(() => listener.close());
  await until('the listener listens', () => port !== 0);
  return { listener, lines, port: () => port };
}

/** One request on a connection of its own. */
export function ask(
  port: number,
  path: string,
  {
    isTls = false,
    ...options
  }: RequestOptions & { isTls?: boolean; ca?: Buffer; cert?: Buffer; key?: Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = (isTls ? tlsRequest : plainRequest)(
      { host: '127.0.0.1', port, path, agent: false, timeout: PATIENCE_MS, ...options },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) }),
        );
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject);
    asked.end();
  });
}

/** A connection that sends what a request is not. */
export async function raw(
  port: number,
  text = '',
): Promise<{ socket: Socket; said: () => string; isClosed: () => boolean }> {
  const socket = connect({ host: '127.0.0.1', port });
  let said = '';
  let isClosed = false;
  socket.on('data', (part) => {
    said += part.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', () => resolve());
  });
  if (text !== '') socket.write(text);
  return { socket, said: () => said, isClosed: () => isClosed };
}

/** An authority with files of its own. */
export async function authority(
  ends: Ends,
  name: string,
): Promise<{ directory: string; authority: Authority; pem: Buffer }> {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-web-'));
  ends.add(() => rmSync(directory, { recursive: true }));
  const made = await createAuthority(directory, name);
  return { directory, authority: made, pem: readFileSync(made.file) };
}
