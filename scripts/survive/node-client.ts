/** Talking to a running node over its control socket, as `anyhop` does: src/control/api.ts says what there is. */
import { request } from 'node:http';
import type { ChangeReport } from '#anyhop/control/api.js';
import type { NodeStatus } from '#anyhop/control/status.js';

const ANSWER_TIMEOUT_MS = 10_000;

export async function statusOf(socket: string): Promise<NodeStatus> {
  return (await ask(socket, 'GET', '/status')) as NodeStatus;
}

/** Rejects when the node refuses, with its reason. */
export async function change(socket: string, path: string, body: object): Promise<ChangeReport> {
  return (await ask(socket, 'POST', path, body)) as ChangeReport;
}

function ask(socketPath: string, method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const asked = request({ socketPath, method, path, headers, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)));
    asked.on('error', (error) => reject(new Error(`${socketPath}: ${error.message}`, { cause: error })));
    asked.end(body === undefined ? '' : JSON.stringify(body));
  });
}
