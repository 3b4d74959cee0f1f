/** Real HAProxy for tests: small configs written by hand, each run directory in a temporary place of its own. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger, LogLine } from '#anyhop/core/log.js';
import { findIdentity, type Identity } from '#anyhop/l7/haproxy/identity.js';
import type { Needs } from '#anyhop/l7/haproxy/limits.js';
import type { HaproxyConfig } from '#anyhop/l7/haproxy/prepare.js';
import type { Render, RenderedLine } from '#anyhop/l7/render/rendering.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { isInstalled } from '../isolation.js';

/** False when HAProxy can run here: the value of a test's `skip`. */
export const withoutHaproxy: string | false = ['haproxy', 'setpriv'].every(isInstalled)
  ? false
  : 'needs haproxy, setpriv';

/** HAProxy's user, when the tests run as root. */
export function identity(): Promise<Identity | undefined> {
  return findIdentity('haproxy');
}

/** A directory that HAProxy's user can pass through, and the run directory that a test may make in it. */
export function temporaryRun(): { readonly run: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-l7-'));
  chmodSync(directory, 0o711);
  return { run: join(directory, 'run'), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** An address of the loopback network for one test alone, so that tests beside it can use the same ports. */
export function ownAddress(): string {
  const [a = 0, b = 0, c = 0] = randomBytes(3);
  return `127.${1 + (a % 254)}.${b}.${1 + (c % 254)}`;
}

/** Lines of haproxy.cfg, each with the path `['line', N]`, N from 1. */
export function lines(text: string): RenderedLine[] {
  return text
    .trim()
    .split('\n')
    .map((line, i) => ({ text: line, at: ['line', i + 1] }));
}

/** Renders this text whatever the directory is, with other files beside it. `DIRECTORY` in the text is the generation's. */
export function rendering(text: string, files: Readonly<Record<string, string>> = {}): Render {
  return (directory) => ({
    lines: lines(text.replaceAll('DIRECTORY', directory)),
    files: new Map(Object.entries(files)),
  });
}

export interface Answering {
  readonly answer?: string;
  /** Lines of the frontend before its answer. */
  readonly rules?: string;
  /** Sections after it. */
  readonly sections?: string;
  /** Lines of `global`. */
  readonly global?: string;
}

/** A frontend on port 8080 that answers by itself, and what else HAProxy needs. */
export function answering(
  address: string,
  { answer = 'ok', rules = '', sections = '', global = '  maxconn 200' }: Answering = {},
): string {
  const text = `
global
${global}
  hard-stop-after 5s
defaults
  mode http
  timeout client 10s
  timeout http-keep-alive 4s
  option idle-close-on-response
  timeout server 10s
  timeout connect 2s
frontend f_web
  bind ${address}:8080
${rules}
  http-request return status 200 content-type text/plain string "${answer}"
${sections}`;
  return text.replaceAll(/\n+/g, '\n');
}

/** What HAProxy is asked to run in most tests: that frontend, with its bind among the needs. */
export function config(address: string, options: Answering = {}, needs: Partial<Needs> = {}): HaproxyConfig {
  return {
    render: rendering(answering(address, options)),
    needs: {
      binds: [{ address: parseAddress(address)!, port: 8080, at: ['bind'] }],
      connections: { value: 200, at: ['connections'] },
      checkedServers: 0,
      ...needs,
    },
  };
}

export interface Logged {
  readonly level: string;
  readonly event: string;
  readonly text: string;
}

/** A log that keeps its lines. */
export function keptLog(): { readonly log: Logger; readonly lines: Logged[] } {
  const lines: Logged[] = [];
  const at =
    (level: string): LogLine =>
    ({ event }, text) =>
      lines.push({ level, event, text });
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

/** Asks again until the answer is there. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadlineMs = performance.now() + 30_000;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadlineMs) throw new Error(`not in time: ${what}`);
    await sleep(20);
  }
}
