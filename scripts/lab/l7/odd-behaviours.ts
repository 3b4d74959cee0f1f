/**
 * What a misbehaving server does with a request that it has read: one function for each way to misbehave, by its name. Most work over
 * HTTP/1.1 and HTTP/2 alike; those that write raw lines reset the stream of HTTP/2.
 */
import type { ServerResponse } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';

/** The response of HTTP/2 has the same methods. The query is the URL's. */
type Behaviour = (response: ServerResponse, query: URLSearchParams) => void;

const HUGE_HEADER_BYTES = 128 * 1024;
const HALF_LENGTH = 1_000;
/** HTTP/2 forgets what it has not sent of a stream that is cut. */
const HALF_PAUSE_MS = 50;
const DRIP_BYTES = 20;
const DRIP_INTERVAL_MS = 100;

/** Answers that no server may give, by what is wrong with them. */
const INVALID: Readonly<Record<string, string>> = {
  status: 'HTTP/1.1 abc nonsense\r\ncontent-length: 0\r\n\r\n',
  version: 'HTTQ/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
  colon: 'HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 0\r\n\r\n',
  name: 'HTTP/1.1 200 OK\r\nbad name: 1\r\ncontent-length: 0\r\n\r\n',
  nul: 'HTTP/1.1 200 OK\r\nx-nul: a\0b\r\ncontent-length: 0\r\n\r\n',
  lengths: 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 5\r\n\r\nhello',
  chunk: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n',
};

export const BEHAVIOURS = {
  /** Never answers. */
  hang: () => {},
  /** Resets the connection, or the stream. */
  reset: cut,
  /** `?status=503`; 500 when not given. */
  error(response, query) {
    response.writeHead(Number(query.get('status') ?? 500));
    response.end('error\n');
  },
  /** `?bytes=20&interval=100`: a whole answer, a byte at a time, every so many ms. */
  drip(response, query) {
    let left = Number(query.get('bytes') ?? DRIP_BYTES);
    response.writeHead(200, { 'content-length': left });
    const timer = setInterval(
      () => {
        left -= 1;
        response.write('.');
        if (left > 0) return;
        clearInterval(timer);
        response.end();
      },
      Number(query.get('interval') ?? DRIP_INTERVAL_MS),
    );
    response.on('close', () => clearInterval(timer));
  },
  /** A tenth of the body that it announces, then it closes. */
  half(response) {
    response.writeHead(200, { 'content-length': HALF_LENGTH });
    response.write('x'.repeat(HALF_LENGTH / 10), () => {
      if (streamOf(response) === undefined) response.socket?.destroySoon();
      else setTimeout(() => cut(response), HALF_PAUSE_MS);
    });
  },
  'huge-header'(response) {
    response.writeHead(200, { 'x-huge': 'h'.repeat(HUGE_HEADER_BYTES), 'content-length': 0 });
    response.end();
  },
  /** `?kind=status`: see INVALID. */
  invalid(response, query) {
    const text = INVALID[query.get('kind') ?? 'status'];
    if (text === undefined || streamOf(response) !== undefined) cut(response);
    else response.socket?.end(text, 'latin1');
  },
  /** As gRPC answers: the status of the call is in the trailers. */
  grpc(response, query) {
    response.writeHead(200, { 'content-type': 'application/grpc', trailer: 'grpc-status, grpc-message' });
    response.write(Buffer.from([0, 0, 0, 0, 0]));
    response.addTrailers({ 'grpc-status': query.get('status') ?? '0', 'grpc-message': 'done' });
    response.end();
  },
} satisfies Readonly<Record<string, Behaviour>>;

export type BehaviourName = keyof typeof BEHAVIOURS;

export function isBehaviour(name: string): name is BehaviourName {
  return Object.hasOwn(BEHAVIOURS, name);
}

function cut(response: ServerResponse): void {
  const stream = streamOf(response);
  if (stream === undefined) response.socket?.resetAndDestroy();
  else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}

function streamOf(response: ServerResponse): ServerHttp2Stream | undefined {
  return (response as { stream?: ServerHttp2Stream }).stream;
}
