/** The client and the servers, as the run sees them: started, watched by what they tell, and ended. */
import { fileURLToPath } from 'node:url';
import type { Lab } from '../lab/lab.js';
import type { LabProcess } from '../lab/process.js';
import type { ConnectionRecord, JournalLine, Sample } from './journal.js';

const SERVER_PROGRAM = fileURLToPath(new URL('./server.js', import.meta.url));
const CLIENT_PROGRAM = fileURLToPath(new URL('./client.js', import.meta.url));
const READY_TIMEOUT_MS = 30_000;
const OPEN_TIMEOUT_MS = 30_000;
/** Longer than the client waits for anything. */
const CLOSE_TIMEOUT_MS = 15_000;

/** Of the service; and of the health checks, on the backends' own addresses. */
export const SERVICE_PORT = 7000;
export const HEALTH_PORT = 7001;

/** What the client is to do. */
export interface TrafficPlan {
  readonly vips: Readonly<Record<4 | 6, string>>;
  readonly port: number;
  /** Connections that are open throughout, half of them over IPv6. */
  readonly held: number;
  /** Connections for a few messages. */
  readonly shortsPerSecond: number;
  /** Of each of those; one to three when not given. */
  readonly shortMessages?: number;
}

/** Starts a backend's server (index from 0); resolves when it listens. */
export async function startServer(lab: Lab, index: number): Promise<LabProcess> {
  const { name, namespace, host4 } = lab.backends[index]!;
  const argv = [process.execPath, SERVER_PROGRAM, name, `${SERVICE_PORT}`, host4, `${HEALTH_PORT}`];
  const server = await lab.resources.startProcess(`server ${name}`, namespace, argv);
  await server.waitForLine((line) => line === 'health open 1', 'listener', READY_TIMEOUT_MS);
  return server;
}

/** Closes a server's listener for health checks, or opens it again; `change` counts from 2. */
export async function toggleHealth(server: LabProcess, change: number): Promise<void> {
  const word = change % 2 === 0 ? 'closed' : 'open';
  process.kill(server.pid, 'SIGUSR2');
  await server.waitForLine(
    (line) => line === `health ${word} ${change}`,
    `health listener ${word}`,
    READY_TIMEOUT_MS,
  );
}

export class Traffic {
  readonly samples: Sample[] = [];
  /** Of connections that have ended. */
  readonly connections: ConnectionRecord[] = [];
  readonly #client: LabProcess;

  private constructor(client: LabProcess) {
    this.#client = client;
    client.onLine((line) => {
      if (!line.startsWith('{')) return;
      const told: JournalLine = JSON.parse(line);
      if (told.event === 'sample') this.samples.push(told);
      else if (told.event === 'connection') this.connections.push(told);
    });
  }

  /** Resolves when every held connection has had an answer. `program` is another client's, which tells the same. */
  static async start(lab: Lab, plan: TrafficPlan, program = CLIENT_PROGRAM): Promise<Traffic> {
    const argv = [process.execPath, program, JSON.stringify(plan)];
    const client = await lab.resources.startProcess('client', lab.client.namespace, argv);
    const traffic = new Traffic(client);
    const opened = (line: string): boolean => line === '{"event":"opened"}';
    await client.waitForLine(opened, 'answer on every connection', OPEN_TIMEOUT_MS);
    return traffic;
  }

  get broken(): number {
    return this.connections.filter(({ broken }) => broken !== null).length;
  }

  /** Closes every connection in order, as far as it can be; all records are there then. */
  async stop(): Promise<void> {
    const { code, signal } = await this.#client.stop('SIGTERM', CLOSE_TIMEOUT_MS);
    if (code !== 0) throw new Error(`the client ended with ${signal ?? code}\n${this.#client.tail()}`);
  }
}
