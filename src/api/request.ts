/**
 * What a client may send with a request: a JSON body within bounds, or none. Nothing is read beyond the bound, so that a
 * client that sends without end costs no more than its socket's buffer.
 */
import type { IncomingMessage } from 'node:http';
import { CONTROL_BODY_BYTES_MAX } from '../core/limits.js';
import { PIECES_MAX, Pieces } from '../core/pieces.js';
import { ControlError } from './api.js';

/** There is nobody any more to answer to. */
export class ClientGone extends Error {}

/**
 * The body as JSON, `{}` for an empty one.
 * @throws ControlError 400, 413 or 415; ClientGone when it has not sent all
 */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/json *(;|$)/i.test(type)) {
    throw new ControlError(415, 'ERR_CONTENT_TYPE', 'the body is not said to be JSON', {
      hint: 'Send the header "content-type: application/json", or none.',
    });
  }
  const bytes = await read(request);
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ControlError(400, 'ERR_REQUEST', `the body is not JSON: ${(cause as Error).message}`);
  }
}

// By events: a loop over the stream that ends early would end the connection, and the client would not see why.
function read(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces = new Pieces(CONTROL_BODY_BYTES_MAX);
    const add = (part: Buffer): void => {
      if (pieces.add(part) !== undefined) refuse();
    };
    const refuse = (): void => {
      request.off('data', add).pause();
      reject(
        new ControlError(413, 'ERR_TOO_LARGE', 'the body is too large', {
          hint: `It may have ${CONTROL_BODY_BYTES_MAX} bytes, in ${PIECES_MAX} chunks.`,
        }),
      );
    };
    request.once('end', () => resolve(pieces.join()));
    request.once('error', () => reject(new ClientGone()));
    request.once('close', () => reject(new ClientGone()));
    if (Number(request.headers['content-length'] ?? 0) > CONTROL_BODY_BYTES_MAX) refuse();
    else request.on('data', add);
  });
}
