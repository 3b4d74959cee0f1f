/**
 * Whether machines keep serving on their own addresses while they forward: a TCP echo server on each, and the client asking
 * all of them, over IPv4 and IPv6, from before the forwarders start.
 */
import { fileURLToPath } from 'node:url';
import type { Resources } from './resources.js';
import type { Host } from './topology.js';

const PROGRAM = fileURLToPath(new URL('./echo.js', import.meta.url));
const PORT = '2222';
const READY_TIMEOUT_MS = 10_000;

/** What became of asking one address. */
export interface EchoResult {
  readonly address: string;
  readonly echoes: number;
  readonly connections: number;
  readonly failures: readonly string[];
}

export interface OwnTraffic {
  /** Ends the asking; resolves to what became of it, by address. */
  stop(): Promise<EchoResult[]>;
}

/** Resolves once each address has answered. */
export async function startOwnTraffic(
  resources: Resources,
  client: Host,
  machines: readonly Host[],
): Promise<OwnTraffic> {
  await Promise.all(
    machines.map(async ({ name, namespace }) => {
      const argv = [process.execPath, PROGRAM, 'serve', PORT];
      const server = await resources.startProcess(`echo server ${name}`, namespace, argv);
      await server.waitForLine((line) => line === 'listening', 'listening', READY_TIMEOUT_MS);
    }),
  );
  const addresses = machines.flatMap(({ host4, host6 }) => [host4, host6]);
  const argv = [process.execPath, PROGRAM, 'ask', PORT, ...addresses];
  const asking = await resources.startProcess('echo client', client.namespace, argv);
  for (const address of addresses)
    await asking.waitForLine(
      (line) => line === `answered ${address}`,
      `answer of ${address}`,
      READY_TIMEOUT_MS,
    );
  return {
    async stop() {
      await asking.stop();
      const line = asking.lines.findLast((text) => text.startsWith('['));
      if (line === undefined) throw new Error(`echo client: no result\n${asking.tail()}`);
      return JSON.parse(line);
    },
  };
}
