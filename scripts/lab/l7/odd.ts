/** Starts a server that misbehaves on demand (odd-server.ts), in a namespace or on this machine's loopback. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LabProcess } from '../process.js';
import type { Resources } from '../resources.js';
import type { BehaviourName } from './odd-behaviours.js';

const PROGRAM = fileURLToPath(new URL('./odd-server.js', import.meta.url));
const READY_TIMEOUT_MS = 15_000;

export interface OddServerPlan {
  /** Which it gives in the header `X-Backend`. */
  readonly name: string;
  /** An address of its machine; `::` for all. */
  readonly address: string;
  /** 0 for any free one. */
  readonly port: number;
  /** `h2c` is HTTP/2 without TLS, by prior knowledge; `tls` is HTTP/1.1 and HTTP/2, as the client asks. */
  readonly protocol: 'http1' | 'h2c' | 'tls';
  /** For TLS: the file of certificate and key. */
  readonly certificate?: string;
  /** For TLS: the file of the authority whose clients are let in, and no others; all when not given. */
  readonly clientCa?: string;
  /** Whether node's parser forgives what it should not; false when not given. */
  readonly lenient?: boolean;
  readonly modeFile?: string;
}

/** A request as the server received it. */
export interface SeenRequest {
  /** The server's name. */
  readonly server: string;
  /** Which of the server's connections it came over, from 1. */
  readonly connection: number;
  readonly from: { readonly address: string; readonly port: number };
  readonly method: string;
  readonly path: string;
  readonly httpVersion: string;
  /** Names and values as they came, in their order; those of HTTP/2 with the pseudo-headers. */
  readonly headers: readonly (readonly [string, string])[];
  /** The first 256 KiB, byte by byte (latin1). */
  readonly body: string;
  readonly bodyBytes: number;
  /** All that came over the connection since the request before it was whole, byte by byte; only for `http1`. */
  readonly raw?: string;
  readonly tls?: {
    readonly serverName: string | null;
    readonly alpn: string | null;
    readonly version: string | null;
    /** Subject of the client's certificate, such as `CN=buyer`. */
    readonly client: string | null;
  };
}

export interface OddServer {
  readonly process: LabProcess;
  /** The one that it listens on. */
  readonly port: number;
  /** How all requests are treated from now on; null: by their paths. */
  setMode(mode: BehaviourName | null): void;
  /** All that it has received so far. */
  requests(): SeenRequest[];
}

/** Resolves when it listens. Without a namespace it runs in this process's own. */
export async function startOddServer(
  resources: Resources,
  plan: Omit<OddServerPlan, 'modeFile'>,
  namespace?: string,
): Promise<OddServer> {
  const modeFile = join(resources.directory, `${plan.name}-${plan.protocol}.mode`);
  const argv = [process.execPath, PROGRAM, JSON.stringify({ ...plan, modeFile })];
  const started = await resources.startProcess(`odd server ${plan.name}`, namespace, argv);
  const { port } = await started.waitForEvent('listening', READY_TIMEOUT_MS);
  return {
    process: started,
    port: Number(port),
    setMode: (mode) => writeFileSync(modeFile, mode ?? ''),
    requests: () =>
      started.events
        .filter(({ event }) => event === 'request')
        .map((event) => event as unknown as SeenRequest),
  };
}
