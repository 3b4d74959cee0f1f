/** A small fleet on loopback: an authority, nodes as servers in this process, and what a DNS host needs to ask them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RegionConfig, RegionNode, RegionTls } from '#anyhop/config/announce/types.js';
import { Secret } from '#anyhop/config/secret.js';
import type { LogFields, Logger } from '#anyhop/core/log.js';
import { type IpAddress, parseAddress } from '#anyhop/packet/address.js';
import { type Authority, createAuthority } from '../../../scripts/lab/certificates.js';

export const address = (text: string): IpAddress => parseAddress(text)!;

export class Certificates {
  readonly directory: string;
  readonly #authority: Authority;

  private constructor(authority: Authority, directory: string) {
    this.#authority = authority;
    this.directory = directory;
  }

  static async make(name = 'ca'): Promise<Certificates> {
    const directory = mkdtempSync(join(tmpdir(), 'anyhop-region-'));
    return new Certificates(await createAuthority(directory, name), directory);
  }

  get authorityFile(): string {
    return this.#authority.file;
  }

  async node(name: string, days?: number): Promise<RegionTls> {
    const file = join(this.directory, `${name}.pem`);
    await this.#authority.serverCertificate(file, [name], days);
    return this.#tls(file);
  }

  async dnsHost(name = 'dns-1'): Promise<RegionTls> {
    const file = join(this.directory, `${name}.pem`);
    await this.#authority.clientCertificate(file, name);
    return this.#tls(file);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }

  #tls(file: string): RegionTls {
    return {
      certificate: new Secret(readFileSync(file)),
      authorities: new Secret(readFileSync(this.#authority.file)),
    };
  }
}

/** A port on which nobody listens at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function node(name: string, port = 1, weight = 1): RegionNode {
  return { name, address: { address: address('127.0.0.1'), port }, weight };
}

export function region(name: string, nodes: readonly RegionNode[], vips: readonly string[]): RegionConfig {
  return {
    name,
    nodes,
    vips: vips.map((each) => {
      const [host = '', vip = ''] = each.split(' ');
      return { host, vip: address(vip) };
    }),
    nets: [],
  };
}

/** A log that keeps its lines. */
export function keptLog(): Logger & { readonly lines: (LogFields & { readonly text: string })[] } {
  const lines: (LogFields & { readonly text: string })[] = [];
  const keep = (fields: LogFields, text: string): void => void lines.push({ ...fields, text });
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

/** Waits until it holds, 10 s at most. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
