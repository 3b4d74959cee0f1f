/** WebSocket clients: one that asks for echoes and ends, and one that holds connections and asks until it is told to end. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type CallContext, callable } from './call.js';
import { type Endpoint, open } from './connection.js';
import { acceptOf, encodeFrame, type Frame, FrameReader, OPCODE } from './websocket.js';

export interface WebSocketPlan extends Endpoint {
  /** For the header `Host`. */
  readonly host: string;
  readonly path: string;
  /** Further lines, `Name: value`. */
  readonly headers?: readonly string[];
  /** For the handshake and for each echo. */
  readonly timeoutMs: number;
}

export interface HoldPlan extends WebSocketPlan {
  readonly connections: number;
  /** Between two messages of a connection. */
  readonly intervalMs: number;
}

export interface HoldResult {
  /** Opened in all: more than asked for when some ended. */
  readonly connections: number;
  readonly echoes: number;
  /** Why each connection ended that nobody asked to. */
  readonly failures: readonly string[];
}

export const ECHO = callable(import.meta.url, 'echo', echo);
export const HOLD = callable(import.meta.url, 'hold', hold);

/** Between an end and the next attempt. */
const AGAIN_MS = 50;
const NORMAL_CLOSURE = 1000;

export interface WebSocketEcho {
  /** The server, by its header `X-Backend`. */
  readonly server: string;
  /** What came back for each message. */
  readonly answers: readonly string[];
}

/** Sends messages one after the other, waits for each echo, and closes. Rejects when there is no connection or an echo is missing. */
export async function echo(
  plan: WebSocketPlan & { readonly messages: readonly string[] },
): Promise<WebSocketEcho> {
  const client = await WebSocketClient.open(plan);
  try {
    const answers: string[] = [];
    for (const message of plan.messages) answers.push(await client.ask(message));
    await client.close();
    return { server: client.server, answers };
  } finally {
    client.destroy();
  }
}

/**
 * Holds connections, each asking over and over; one that ends is counted as a failure and opened again. Prints `holding` once each
 * was answered, `open` for each that was opened, and `failed` for each that ended.
 */
export async function hold(plan: HoldPlan, { stop, print }: CallContext): Promise<HoldResult> {
  const result = { connections: 0, echoes: 0, failures: [] as string[] };
  let unanswered = plan.connections;
  const one = async (): Promise<void> => {
    let first = true;
    while (!stop.aborted) {
      let client: WebSocketClient | undefined;
      try {
        client = await WebSocketClient.open(plan);
        result.connections += 1;
        print({ event: 'open', server: client.server });
        while (!stop.aborted) {
          const text = `${result.echoes}`;
          const answer = await client.ask(text);
          if (answer !== text) throw new Error(`sent ${text}, got ${answer}`);
          result.echoes += 1;
          if (first) unanswered -= 1;
          if (first && unanswered === 0) print({ event: 'holding' });
          first = false;
          await delay(plan.intervalMs, undefined, { signal: stop }).catch(() => {});
        }
      } catch (error) {
        const reason = (error as Error).message;
        print({ event: 'failed', reason });
        result.failures.push(reason);
        await delay(AGAIN_MS);
      } finally {
        client?.destroy();
      }
    }
  };
  await Promise.all(Array.from({ length: plan.connections }, one));
  return result;
}

class WebSocketClient {
  readonly server: string;
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #reader = new FrameReader();
  readonly #frames: Frame[] = [];
  #ended: string | undefined;
  #wake = (): void => {};

  private constructor(socket: Socket, server: string, timeoutMs: number, rest: Buffer) {
    this.#socket = socket;
    this.server = server;
    this.#timeoutMs = timeoutMs;
    const take = (bytes: Buffer): void => {
      this.#frames.push(...this.#reader.read(bytes));
      this.#wake();
    };
    const end = (why: string): void => {
      this.#ended ??= why;
      this.#wake();
    };
    take(rest);
    socket.on('data', take);
    socket.on('end', () => end('closed by the other side'));
    socket.on('error', ({ message }) => end(message));
    socket.resume();
  }

  /** @throws Error when the server does not switch protocols */
  static async open(plan: WebSocketPlan): Promise<WebSocketClient> {
    const socket = await open(plan, plan.timeoutMs);
    const key = randomBytes(16).toString('base64');
    const own = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Key: ${key}`];
    const lines = [`GET ${plan.path} HTTP/1.1`, `Host: ${plan.host}`, ...own, 'Sec-WebSocket-Version: 13'];
    socket.write(`${[...lines, ...(plan.headers ?? [])].join('\r\n')}\r\n\r\n`);
    const { head, rest } = await readHead(socket, plan.timeoutMs);
    const header = (name: string): string | undefined =>
      new RegExp(`^${name}: *(.*?) *$`, 'im').exec(head)?.[1];
    if (!/^HTTP\/1\.1 101 /.test(head) || header('sec-websocket-accept') !== acceptOf(key)) {
      socket.destroy();
      throw new Error(`the server did not switch to WebSocket: ${head.split('\r\n')[0]}`);
    }
    return new WebSocketClient(socket, header('x-backend') ?? '', plan.timeoutMs, rest);
  }

  /** Sends a text and resolves to the text that comes next. */
  async ask(text: string): Promise<string> {
    this.#send({ opcode: OPCODE.text, payload: Buffer.from(text) });
    return (await this.#next(OPCODE.text)).payload.toString();
  }

  /** Says that it closes and waits until the server has said so too. */
  async close(): Promise<void> {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(NORMAL_CLOSURE);
    this.#send({ opcode: OPCODE.close, payload });
    await this.#next(OPCODE.close);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #send(frame: Frame): void {
    this.#socket.write(encodeFrame(frame, true));
  }

  async #next(opcode: number): Promise<Frame> {
    const deadline = Date.now() + this.#timeoutMs;
    for (;;) {
      const frame = this.#frames.shift();
      if (frame?.opcode === opcode) return frame;
      if (frame !== undefined) throw new Error(`a frame of opcode ${frame.opcode} instead of ${opcode}`);
      if (this.#ended !== undefined) throw new Error(this.#ended);
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw new Error(`nothing came within ${this.#timeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** The answer to the handshake, and the bytes after it. */
function readHead(socket: Socket, timeoutMs: number): Promise<{ head: string; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('error').pause();
      action();
    };
    const fail = (why: string): void =>
      settle(() => {
        socket.destroy();
        reject(new Error(`no answer to the WebSocket handshake: ${why}`));
      });
    const timer = setTimeout(() => fail(`within ${timeoutMs} ms`), timeoutMs);
    socket.on('data', (part: Buffer) => {
      bytes = Buffer.concat([bytes, part]);
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0)
        settle(() => resolve({ head: bytes.toString('latin1', 0, end), rest: bytes.subarray(end + 4) }));
    });
    socket.on('end', () => fail('the connection was closed'));
    socket.on('error', ({ message }) => fail(message));
  });
}
