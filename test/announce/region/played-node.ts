/** A node as `anyhop announce` hears it: its control socket with one stream of lines, which a test changes. */
import { createServer, type ServerResponse } from 'node:http';
import type { FollowLine } from '#anyhop/api/follow.js';

/** Longer than any test. */
const STOP_DELAY_MS = 500_000;
const HOP = { address: '10.1.0.11', interface: { name: 'lo', index: 1 }, mac: '02:00:00:00:00:01' };

interface Said {
  readonly ready: boolean;
  /** It was asked to stop, and forwards on for a while. */
  readonly stopping: boolean;
}

export class PlayedNode {
  readonly #name: string;
  readonly #vips: readonly string[];
  #said: Said = { ready: true, stopping: false };
  readonly #startedAt = new Date();
  #line = 0;
  readonly #streams = new Set<ServerResponse>();
  readonly #server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
    this.#tell();
  });
  readonly #timer = setInterval(() => this.#tell(), 500);

  constructor(name: string, vips: readonly string[]) {
    this.#name = name;
    this.#vips = vips;
  }

  async start(path: string): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(path, resolve));
  }

  say(said: Partial<Said>): void {
    this.#said = { ...this.#said, ...said };
    this.#tell();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #tell(): void {
    const { ready, stopping } = this.#said;
    const service = { name: 'web', pool: 'web', ready, ...(!ready && { reason: 'none is up' }) };
    const until = new Date(this.#startedAt.getTime() + STOP_DELAY_MS).toISOString();
    const line: FollowLine = {
      node: this.#name,
      version: '0.1.0',
      pid: 1,
      startedAt: this.#startedAt.toISOString(),
      line: ++this.#line,
      phase: stopping ? 'stopping' : 'serving',
      reasons: [],
      ...(stopping && { stop: { why: 'SIGTERM', until, forwardsOn: false } }),
      engine: { name: 'portable', interface: { name: 'lo', index: 1 } },
      vips: this.#vips.map((vip) => ({ vip, services: [service] })),
      pools: { web: { up: 1, total: 1, hops: [HOP] } },
    };
    for (const stream of this.#streams) stream.write(`${JSON.stringify(line)}\n`);
  }
}
