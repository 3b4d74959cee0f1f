/** Reads pcap and pcapng files, and writes pcap. The name `-` means standard input or output. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { AnyhopError, EXIT } from '../core/errors.js';
import { reasonOf } from '../core/reason.js';
import { ByteReader, type ByteSource, descriptorSource, isBusy, pause } from './byte-reader.js';
import {
  type CapturedPacket,
  captureError,
  isPcap,
  pcapHeader,
  pcapRecordBytes,
  putPcapRecord,
  readPcap,
} from './pcap.js';
import { isPcapng, type OnSkip, readPcapng } from './pcapng.js';

export type { CapturedPacket };

const STDIN = 0;
const STDOUT = 1;
const WRITE_BUFFER_BYTES = 1024 * 1024;

/**
 * The packets of a pcap or pcapng file, one at a time, in constant memory. A packet's `frame` is a view that is valid until the
 * next one is requested.
 * @param path `-` is standard input
 * @param onSkip called for each packet of a pcapng interface whose link type is unknown
 * @throws AnyhopError ERR_CAPTURE_FILE: missing, not a capture, only unknown link types, cut short or corrupt (after the packets
 * before the damage)
 */
export function* readCapture(
  path: string,
  onSkip: OnSkip = ignore,
): Generator<CapturedPacket, void, undefined> {
  const name = path === '-' ? 'standard input' : path;
  const descriptor = path === '-' ? STDIN : wrap(name, () => openSync(path, 'r'));
  try {
    const source = descriptorSource(descriptor);
    yield* readCaptureFrom((target) => wrap(name, () => source(target)), name, onSkip);
  } finally {
    if (descriptor !== STDIN) closeSync(descriptor);
  }
}

function ignore(): void {}

/** The same from any source of bytes. @param name for messages */
export function* readCaptureFrom(
  source: ByteSource,
  name: string,
  onSkip: OnSkip = ignore,
): Generator<CapturedPacket, void, undefined> {
  const reader = new ByteReader(source);
  const start = reader.peek(4);
  if (isPcap(start)) yield* readPcap(reader, name);
  else if (isPcapng(start)) yield* readPcapng(reader, name, onSkip);
  else if (start.length === 0) throw captureError(name, 0, 'the file is empty');
  else if (start[0] === 0x1f && start[1] === 0x8b) {
    throw captureError(
      name,
      0,
      'the file is compressed (gzip)',
      `Unpack it first: gunzip -c ${name} | anyhop ... -`,
    );
  } else {
    throw captureError(
      name,
      0,
      'neither a pcap nor a pcapng file',
      'Both are made by tcpdump -w and by tshark -w; editcap -F pcap converts from other formats.',
    );
  }
}

/** Writes frames to a pcap file through a buffer, which `close` flushes. */
export class CaptureWriter {
  readonly #name: string;
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(WRITE_BUFFER_BYTES);
  #used = 0;

  /**
   * Creates or empties the file.
   * @param path `-` is standard output
   * @throws AnyhopError ERR_CAPTURE_FILE when it cannot
   */
  constructor(path: string) {
    this.#name = path === '-' ? 'standard output' : path;
    this.#descriptor = path === '-' ? STDOUT : wrap(path, () => openSync(path, 'w'));
    this.#append(pcapHeader());
  }

  /** @param timestampNs since 1970 @param originalLength on the wire, if the frame was cut */
  write(frame: Uint8Array, timestampNs: bigint, originalLength: number = frame.length): void {
    if (this.#used + pcapRecordBytes(frame) > this.#buffer.length) this.#flush();
    this.#used += putPcapRecord(this.#buffer, this.#used, frame, timestampNs, originalLength);
  }

  close(): void {
    try {
      this.#flush();
    } finally {
      if (this.#descriptor !== STDOUT) closeSync(this.#descriptor);
    }
  }

  #append(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #flush(): void {
    let at = 0;
    while (at < this.#used) {
      try {
        at += writeSync(this.#descriptor, this.#buffer, at, this.#used - at);
      } catch (error) {
        if (!isBusy(error)) throw fileError(this.#name, error);
        pause();
      }
    }
    this.#used = 0;
  }
}

function wrap<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileError(name, error);
  }
}

function fileError(name: string, error: unknown): AnyhopError {
  const { code } = error as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'no permission',
    ENOSPC: 'no space is left on the device',
    EPIPE: 'the reader of the pipe has gone',
  };
  return new AnyhopError('ERR_CAPTURE_FILE', `${name}: ${known[code ?? ''] ?? reasonOf(error)}`, {
    exitCode: EXIT.failure,
    cause: error,
  });
}
