/**
 * One question to a node over a connection that stays: whole, small, in time, and from the host that the certificate names; anything
 * else is an error. A node may be broken or in foreign hands, so its answer is limited in size and time, and not followed elsewhere.
 */
import { Agent, type RequestOptions, request } from 'node:https';
import type { Socket } from 'node:net';
import type { RegionNode, RegionTls } from '../../config/announce/types.js';
import { REGION_ANSWER_BYTES_MAX, REGION_FIRST_MS } from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { REGION_PATH, type RegionAnswer, readRegionAnswer } from './answer.js';
import { secureContext } from './server.js';

const ANSWER_MS = 1_000;

export class Questioner {
  readonly #node: RegionNode;
  readonly #region: string;
  readonly #agent: Agent;
  readonly #options: RequestOptions;
  readonly #ended: () => void;
  readonly #sockets = new WeakSet<Socket>();

  /** @param ended called when a connection that answered ends: its process probably has */
  constructor(node: RegionNode, region: string, tls: RegionTls, ended: () => void) {
    this.#node = node;
    this.#region = region;
    this.#ended = ended;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
    this.#options = {
      ...secureContext(tls),
      agent: this.#agent,
      host: node.address.address.text,
      port: node.address.port,
      path: REGION_PATH,
      servername: node.name, // whom the certificate must be for, whatever the address
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
      headers: { accept: 'application/json' },
    };
  }

  /** @throws Error (of the system, of TLS, or with a reason in words) when there is no good answer in time */
  ask(): Promise<RegionAnswer> {
    return new Promise((resolve, reject) => {
      const asked = request(this.#options);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        asked.destroy();
        reject(error);
      };
      const lateAfter = (ms: number): NodeJS.Timeout =>
        setTimeout(() => fail(new Error(`no answer within ${formatDuration(ms)}`)), ms);
      let timer = lateAfter(REGION_FIRST_MS);
      asked.on('error', fail);
      asked.on('socket', (socket: Socket) => {
        if (asked.reusedSocket) {
          clearTimeout(timer);
          timer = lateAfter(ANSWER_MS);
        } else if (!this.#sockets.has(socket)) {
          this.#sockets.add(socket);
          socket.once('close', this.#ended);
        }
      });
      asked.on('response', (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('error', fail);
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > REGION_ANSWER_BYTES_MAX)
            fail(new Error(`its answer has more than ${REGION_ANSWER_BYTES_MAX} bytes`));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          try {
            if (response.statusCode !== 200) throw new Error(`it answers with status ${response.statusCode}`);
            const text = Buffer.concat(chunks).toString();
            const answer = readRegionAnswer(text, this.#node.name, this.#region);
            clearTimeout(timer);
            resolve(answer);
          } catch (error) {
            fail(error as Error);
          }
        });
      });
      asked.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
