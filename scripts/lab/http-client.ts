/**
 * The client machine's program: reads a list of requests as JSON from the file in argv[2], makes each over a new TCP
 * connection from the source port that it names, and prints one JSON line for each as it ends. No retries.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import type { HttpAnswer, HttpPlan, HttpRequest } from './requests.js';

const plan: HttpPlan = JSON.parse(readFileSync(process.argv[2]!, 'utf8'));
const waiting = plan.requests.values();

await Promise.all(
  Array.from({ length: plan.concurrency }, async () => {
    for (const each of waiting) process.stdout.write(`${JSON.stringify(await fetchOnce(each))}\n`);
  }),
);

function fetchOnce({ host, port, path, sourcePort, uploadBytes }: HttpRequest): Promise<HttpAnswer> {
  return new Promise((resolve) => {
    const fail = (error: string): void => resolve({ host, port, sourcePort, backend: null, bytes: 0, error });
    const outgoing = request(
      {
        host,
        port,
        path,
        method: uploadBytes === 0 ? 'GET' : 'POST',
        localPort: sourcePort,
        agent: false, // a connection of its own
        signal: AbortSignal.timeout(plan.timeoutMs),
      },
      (answer) => {
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        answer.on('error', (error) => fail(error.message));
        answer.on('end', () => {
          const backend = String(answer.headers['x-backend'] ?? '');
          if (answer.statusCode !== 200 || backend === '') fail(`status ${answer.statusCode}`);
          else resolve({ host, port, sourcePort, backend, bytes, error: null });
        });
      },
    );
    outgoing.on('error', (error) => fail(error.message));
    outgoing.end(Buffer.alloc(uploadBytes));
  });
}
