/** HTTP requests from the lab's client machine: who answered each, or why nobody did. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Resources } from './resources.js';
import type { Host } from './topology.js';

const CLIENT_PROGRAM = fileURLToPath(new URL('./http-client.js', import.meta.url));

export interface HttpRequest {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** The TCP source port; each request of a plan needs its own for the same host and port. */
  readonly sourcePort: number;
  /** 0 for a GET; more for a POST of so many bytes. */
  readonly uploadBytes: number;
}

export interface HttpPlan {
  readonly requests: readonly HttpRequest[];
  /** Connections at a time. */
  readonly concurrency: number;
  /** For one request, from connecting to the last byte. */
  readonly timeoutMs: number;
}

export interface HttpAnswer {
  readonly host: string;
  readonly port: number;
  readonly sourcePort: number;
  /** The backend that answered, by its own word; null when the request failed. */
  readonly backend: string | null;
  /** Length of the answer's body. */
  readonly bytes: number;
  readonly error: string | null;
}

let plans = 0;

/** Makes the plan's requests from the client; resolves to the answers in the order in which they came. */
export async function makeRequests(
  resources: Resources,
  client: Host,
  plan: HttpPlan,
  onAnswer: (answer: HttpAnswer) => void = () => {},
): Promise<HttpAnswer[]> {
  plans += 1;
  const file = join(resources.directory, `requests-${plans}.json`);
  writeFileSync(file, JSON.stringify(plan));
  const answers: HttpAnswer[] = [];
  const argv = [process.execPath, CLIENT_PROGRAM, file];
  const program = await resources.startProcess('http client', client.namespace, argv);
  program.onLine((line) => {
    if (!line.startsWith('{')) return;
    const answer: HttpAnswer = JSON.parse(line);
    answers.push(answer);
    onAnswer(answer);
  });
  const { code, signal } = await program.exited;
  if (code !== 0 || answers.length !== plan.requests.length)
    throw new Error(
      `http client: ended with ${signal ?? code} after ${answers.length} answers\n${program.tail()}`,
    );
  return answers;
}

/** GET requests of `path`, one from each of `count` source ports from `firstSourcePort` up. */
export function getRequests(
  host: string,
  port: number,
  { count, firstSourcePort, path = '/' }: { count: number; firstSourcePort: number; path?: string },
): HttpRequest[] {
  return Array.from({ length: count }, (_, i) => ({
    host,
    port,
    path,
    sourcePort: firstSourcePort + i,
    uploadBytes: 0,
  }));
}
