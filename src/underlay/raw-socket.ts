/**
 * Raw sockets by npm `raw-socket`, an optional dependency: loaded when somebody needs one. Its public `send` queues, and
 * takes a turn of the event loop a packet; the socket that it wraps sends at once, and throws when the kernel refuses.
 */
import type rawSocket from 'raw-socket';
import type { Socket } from 'raw-socket';
import { AnyhopError } from '../core/errors.js';

type Raw = typeof rawSocket;

const IPPROTO_RAW = 255;
/** Room for bursts: the kernel's default of 208 KiB holds some 90 full packets. */
const BUFFER_BYTES = 4 * 1024 * 1024;

/** A raw socket that sends whole IP packets of one family. */
export interface RawSender {
  /** Sends at once. @returns the kernel's reason against it, or undefined when it took the packet */
  send(buffer: Buffer, offset: number, length: number, address: string): string | undefined;
  close(): void;
}

export interface RawSockets {
  /** @throws AnyhopError ERR_CAPABILITY when the kernel refuses the socket */
  openSender(family: 4 | 6): RawSender;
  /**
   * Receives a copy of every packet of a protocol that this host takes for itself.
   * @param take gets the packet with its IP header (IPv4) or without (IPv6), valid during the call, and the sender's address
   * @throws AnyhopError ERR_CAPABILITY when the kernel refuses the socket
   */
  openReceiver(
    family: 4 | 6,
    protocol: number,
    take: (packet: Buffer, source: string) => void,
  ): { close(): void };
}

/**
 * @param user who needs it, as an error begins: `the portable engine needs`
 * @throws AnyhopError ERR_NATIVE when the library cannot be loaded
 */
export async function loadRawSockets(user: string): Promise<RawSockets> {
  const raw = await loadOptional(user, 'raw-socket', async () => (await import('raw-socket')).default);
  return {
    openSender: (family) => openSender(raw, family),
    openReceiver: (family, protocol, take) => openReceiver(raw, family, protocol, take),
  };
}

/** @throws AnyhopError ERR_NATIVE naming the library that cannot be loaded, and who needs it */
export async function loadOptional<T>(user: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new AnyhopError('ERR_NATIVE', `${user} npm ${name}, which cannot be loaded: ${firstLine(cause)}`, {
      hint: 'Install libpcap (Debian: apt-get install libpcap-dev g++ make python3), then npm rebuild cap raw-socket.',
      cause,
    });
  }
}

function openSender(raw: Raw, family: 4 | 6): RawSender {
  const socket = open(raw, family, IPPROTO_RAW, 'SO_SNDBUF');
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

function openReceiver(
  raw: Raw,
  family: 4 | 6,
  protocol: number,
  take: (packet: Buffer, source: string) => void,
): { close(): void } {
  const socket = open(raw, family, protocol, 'SO_RCVBUF');
  socket.on('message', take);
  socket.on('error', () => {}); // of one packet, say ENETDOWN; the socket goes on
  return { close: () => void socket.close() };
}

function open(raw: Raw, family: 4 | 6, protocol: number, buffer: 'SO_SNDBUF' | 'SO_RCVBUF'): Socket {
  try {
    const addressFamily = family === 4 ? raw.AddressFamily.IPv4 : raw.AddressFamily.IPv6;
    const socket = raw.createSocket({ addressFamily, protocol });
    socket.setOption(raw.SocketLevel.SOL_SOCKET, raw.SocketOption[buffer], BUFFER_BYTES);
    return socket;
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
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}
