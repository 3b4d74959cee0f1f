/** A call over HTTP/2 as gRPC makes it: one message there, one back, and the call's status in the trailers. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { callable } from './call.js';
import type { Endpoint } from './connection.js';

export interface GrpcPlan extends Endpoint {
  /** For `:authority`. */
  readonly host: string;
  readonly path: string;
  readonly timeoutMs: number;
}

export interface GrpcAnswer {
  readonly httpStatus: number;
  /** The server, by its header `X-Backend`. */
  readonly server: string;
  /** From the trailers; null when they did not come. */
  readonly grpcStatus: string | null;
  readonly message: string | null;
}

export const GRPC = callable(import.meta.url, 'callGrpc', callGrpc);

/** An empty message: not compressed, of length 0. */
const EMPTY_MESSAGE = Buffer.alloc(5);

/** Rejects when the connection or the stream ends without an answer. Without TLS by prior knowledge. */
export function callGrpc({ address, port, tls, host, path, timeoutMs }: GrpcPlan): Promise<GrpcAnswer> {
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const options = tls === undefined ? {} : { ca: readFileSync(tls.ca), servername: tls.serverName };
  const session = connect(`${tls === undefined ? 'http' : 'https'}://${where}`, options);
  return new Promise<GrpcAnswer>((resolve, reject) => {
    const answer = {
      httpStatus: 0,
      server: '',
      grpcStatus: null as string | null,
      message: null as string | null,
    };
    const text = (value: unknown): string | null => (value === undefined ? null : String(value));
    session.on('error', reject);
    const stream = session.request({
      ...{ ':method': 'POST', ':authority': host, ':path': path },
      ...{ te: 'trailers', 'content-type': 'application/grpc' },
    });
    stream.setTimeout(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
    stream.on('response', (headers) => {
      answer.httpStatus = headers[':status'] ?? 0;
      answer.server = text(headers['x-backend']) ?? '';
    });
    stream.on('trailers', (headers) => {
      answer.grpcStatus = text(headers['grpc-status']);
      answer.message = text(headers['grpc-message']);
    });
    stream.on('error', reject);
    stream.on('end', () => resolve(answer));
    stream.end(EMPTY_MESSAGE);
    stream.resume();
  }).finally(() => session.destroy());
}
