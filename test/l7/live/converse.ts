/** A client of HTTP/1 that sends bytes as they are and reads until the connection ends. */
import type { Duplex } from 'node:stream';
import { type ParsedAnswer, parseAnswers } from '../../../scripts/lab/l7/raw.js';

export interface Conversation {
  /** All that came back, byte by byte. */
  readonly text: string;
  readonly answers: readonly ParsedAnswer[];
  /** Whether the other side closed while this one could still have sent more. */
  readonly wasClosed: boolean;
}

const SILENCE_MS = 10_000;
const DEADLINE_MS = 30_000;

/**
 * @param text latin1
 * @param silenceMs when nothing new comes for so long, the client says that nothing more comes from it, and reads on
 * @throws Error when the connection is still open at the deadline
 */
export function converse(socket: Duplex, text: string, silenceMs = SILENCE_MS): Promise<Conversation> {
  return new Promise((resolve, reject) => {
    let came = '';
    let wasClosed = true;
    const silence = setTimeout(() => {
      wasClosed = false;
      socket.end();
    }, silenceMs);
    const deadline = setTimeout(() => socket.destroy(new Error(`still open: ${came}`)), DEADLINE_MS);
    const finish = (action: () => void): void => {
      clearTimeout(silence);
      clearTimeout(deadline);
      socket.destroy();
      action();
    };
    const ended = (): void => finish(() => resolve({ text: came, answers: parseAnswers(came), wasClosed }));
    socket.on('data', (bytes: Buffer) => {
      came += bytes.toString('latin1');
      silence.refresh();
    });
    socket.on('end', ended);
    socket.on('close', ended);
    // A reset comes after data that nobody reads any more.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? ended() : finish(() => reject(error)),
    );
    socket.write(text, 'latin1');
  });
}
