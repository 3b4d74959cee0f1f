/** Where a capture goes: a pcapng file or stream, or lines on standard output. Nothing here blocks the event loop while a reader is slow. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type CaptureText, captureText } from '../capture/describe.js';
import {
  type CaptureFileOptions,
  type CaptureTotals,
  endBlocks,
  packetBlocks,
  startBlocks,
} from '../capture/pcapng-blocks.js';
import type { CaptureNames, CapturePoint, CaptureRecord } from '../capture/record.js';
import { type CaptureSink, SinkGone } from '../capture/session.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { printableLines } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';

/** Written at once. */
const CHUNK_BYTES = 256 * 1024;
/** Captures hold what people send. */
const FILE_MODE = 0o600;

/** What bytes go to. */
interface Target {
  /** @throws SinkGone, AnyhopError ERR_CAPTURE_FILE */
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface CaptureOutput extends CaptureSink {
  /** To be called at the end, whatever came before; with totals where it came to an end of its own. */
  close(totals: CaptureTotals | undefined): Promise<void>;
}

/**
 * @param path `-` is standard output
 * @param replaces an existing file is overwritten
 * @param signal ends waiting for a reader
 * @throws AnyhopError ERR_CAPTURE_FILE, ERR_USAGE
 */
export async function captureFile(
  path: string,
  replaces: boolean,
  point: CapturePoint,
  file: CaptureFileOptions,
  signal: AbortSignal,
): Promise<CaptureOutput> {
  if (path === '-' && process.stdout.isTTY)
    throw new AnyhopError('ERR_USAGE', 'standard output is a terminal, and a capture is no text', {
      hint: 'Pipe it: ... -w - | tcpdump -r -; or leave -w away for lines to read.',
    });
  const target = path === '-' ? standardOutput(signal) : await fileTarget(path, replaces);
  let named: { readonly names: CaptureNames; readonly text: CaptureText } | undefined;
  const buffered = new Buffered(target);
  // A reader such as Wireshark wants to know at once what is coming.
  await buffered.write(startBlocks(file));
  await buffered.flush();
  return {
    write(record, wallNs, names) {
      if (named?.names !== names) named = { names, text: captureText(names, point) };
      return buffered.write(packetBlocks(record, wallNs, named.text.comment(record), file.snapLength));
    },
    flush: () => buffered.flush(),
    async close(totals) {
      try {
        if (totals !== undefined) await buffered.write(endBlocks(totals));
        await buffered.flush();
      } catch (error) {
        if (!(error instanceof SinkGone)) throw error;
      } finally {
        await target.close();
      }
    },
  };
}

/** One line a packet. */
export function captureLines(point: CapturePoint, json: boolean, signal: AbortSignal): CaptureOutput {
  const target = standardOutput(signal);
  const buffered = new Buffered(target);
  let named: { readonly names: CaptureNames; readonly text: CaptureText } | undefined;
  return {
    write(record: CaptureRecord, wallNs: bigint, names: CaptureNames) {
      if (named?.names !== names) named = { names, text: captureText(names, point) };
      const line = json ? JSON.stringify(named.text.json(record, wallNs)) : named.text.line(record, wallNs);
      return buffered.write(Buffer.from(`${printableLines(line)}\n`));
    },
    flush: () => buffered.flush(),
    async close() {
      await buffered.flush().catch((error: unknown) => {
        if (!(error instanceof SinkGone)) throw error;
      });
      await target.close();
    },
  };
}

class Buffered {
  readonly #target: Target;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  write(bytes: Uint8Array): Promise<void> | void {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= CHUNK_BYTES) return this.flush();
  }

  async flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const bytes = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    await this.#target.write(bytes);
  }
}

/** Pipes and sockets are written as the reader takes them. */
function standardOutput(signal: AbortSignal): Target {
  const { stdout } = process;
  let gone: Error | undefined;
  let fail: (error: Error) => void = () => undefined;
  const failed = (error: NodeJS.ErrnoException): void => {
    gone ??= error.code === 'EPIPE' ? new SinkGone() : fileError('standard output', error);
    fail(gone);
  };
  stdout.on('error', failed);
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        if (gone !== undefined) return reject(gone);
        if (signal.aborted && stdout.writableNeedDrain) return reject(new SinkGone());
        const end = (): void => {
          signal.removeEventListener('abort', abort);
          resolve();
        };
        // Whoever ends a capture does not wait for a reader that has stopped reading.
        const abort = (): void => {
          if (stdout.writableNeedDrain) reject(new SinkGone());
        };
        fail = (error) => {
          signal.removeEventListener('abort', abort);
          reject(error);
        };
        signal.addEventListener('abort', abort, { once: true });
        stdout.write(bytes, (error) => {
          if (!error) end();
        });
      }),
    // The listener stays: what went wrong has been told.
    close: async () => undefined,
  };
}

async function fileTarget(path: string, replaces: boolean): Promise<Target> {
  // No link is followed: a capture of root's may stand in a directory of others. A pipe that nobody reads would be waited for without end.
  const flags =
    constants.O_WRONLY |
    constants.O_CREAT |
    constants.O_NOFOLLOW |
    constants.O_NONBLOCK |
    (replaces ? constants.O_TRUNC : constants.O_EXCL);
  let file: FileHandle;
  try {
    file = await open(path, flags, FILE_MODE);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENXIO') throw noFile(path);
    if (code === 'EEXIST')
      throw new AnyhopError('ERR_USAGE', `${path} is there already`, {
        hint: 'Name another file, or add --force.',
      });
    throw fileError(path, error);
  }
  const status = await file.stat();
  if (!status.isFile()) {
    await file.close();
    throw noFile(path);
  }
  // Of one that was there: it is to be this user's alone, too.
  if (status.uid === process.geteuid?.()) await file.chmod(FILE_MODE);
  return {
    async write(bytes) {
      try {
        await file.writeFile(bytes);
      } catch (error) {
        throw fileError(path, error);
      }
    },
    close: () => file.close(),
  };
}

function noFile(path: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', `${path} is no regular file`, {
    hint: `Write to standard output: anyhop capture -w - > ${path}`,
  });
}

function fileError(name: string, cause: unknown): AnyhopError {
  return new AnyhopError('ERR_CAPTURE_FILE', `${name} cannot be written: ${reasonOf(cause)}`, {
    exitCode: EXIT.failure,
    cause,
  });
}
