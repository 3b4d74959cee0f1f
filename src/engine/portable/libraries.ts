/**
 * The two native libraries of the portable engine, loaded when it starts: they are optional dependencies, and no other
 * part of the program needs them.
 */
import type { Cap } from 'cap';
import type rawSocket from 'raw-socket';
import type { Socket } from 'raw-socket';
import { AnyhopError } from '../../core/errors.js';

const IPPROTO_RAW = 255;
/** Room for bursts: the kernel's default of 208 KiB holds some 90 full packets. */
const SEND_BUFFER_BYTES = 4 * 1024 * 1024;

/** A raw socket that sends whole IP packets of one family. */
export interface RawSender {
  /** Sends at once. @returns the kernel's reason against it, or undefined when it took the packet */
  send(buffer: Buffer, offset: number, length: number, address: string): string | undefined;
  close(): void;
}

export interface Libraries {
  readonly Cap: new () => Cap;
  /** @throws AnyhopError ERR_CAPABILITY when the kernel refuses the socket */
  openSender(family: 4 | 6): RawSender;
}

/** @throws AnyhopError ERR_NATIVE naming the library that cannot be loaded */
export async function loadLibraries(): Promise<Libraries> {
  const { Cap } = await load('cap', async () => (await import('cap')).default);
  const raw = await load('raw-socket', async () => (await import('raw-socket')).default);
  return { Cap, openSender: (family) => openSender(raw, family) };
}

async function load<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new AnyhopError(
      'ERR_NATIVE',
      `the portable engine needs npm ${name}, which cannot be loaded: ${firstLine(cause)}`,
      {
        hint: 'Install libpcap (Debian: apt-get install libpcap-dev g++ make python3), then npm rebuild cap raw-socket.',
        cause,
      },
    );
  }
}

function openSender(raw: typeof rawSocket, family: 4 | 6): RawSender {
  let socket: Socket;
  try {
    const addressFamily = family === 4 ? raw.AddressFamily.IPv4 : raw.AddressFamily.IPv6;
    socket = raw.createSocket({ addressFamily, protocol: IPPROTO_RAW });
    socket.setOption(raw.SocketLevel.SOL_SOCKET, raw.SocketOption.SO_SNDBUF, SEND_BUFFER_BYTES);
  } catch (cause) {
    throw new AnyhopError(
      'ERR_CAPABILITY',
      `a raw IPv${family} socket cannot be opened: ${firstLine(cause)}`,
      {
        hint: 'Run as root, or give the process CAP_NET_RAW.',
        cause,
      },
    );
  }
  socket.pauseRecv(); // a socket of IPPROTO_RAW receives nothing
  let closed = false;
  const done = (): void => undefined;
  return {
    send(buffer, offset, length, address) {
      try {
        socket.wrap.send(buffer, offset, length, address, done);
        return undefined;
      } catch (error) {
        return firstLine(error);
      }
    },
    close() {
      if (!closed) socket.close();
      closed = true;
    },
  };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}
