/**
 * Raw sockets by npm `raw-socket`, an optional dependency that is loaded on use. Its public `send` queues and takes a turn of the event
 * loop a packet; the socket beneath sends at once, and throws when the kernel refuses.
 *
 * A raw socket gets a copy of every packet of its protocol. So each has a filter in the kernel, also those that only send: a flood of
 * other packets neither fills its queue nor wakes this process.
 */
import type rawSocket from 'raw-socket';
import type { Socket } from 'raw-socket';
import { AnyhopError } from '../core/errors.js';
import { installAgain } from '../core/install.js';
import { bindSocket } from '../ffi/bind.js';
import { filterOption } from '../ffi/socket-filter.js';
import type { IpAddress } from '../packet/address.js';
import { NO_PACKET } from '../packet/socket-filter.js';

type Raw = typeof rawSocket;

const IPPROTO_RAW = 255;
/** Room for bursts: the kernel's default of 208 KiB holds some 90 full packets, or 270 small ones. */
const BUFFER_BYTES = 4 * 1024 * 1024;
/** Linux, asm-generic/socket.h; the library names none of them. */
const SO_ATTACH_FILTER = 26;
const SO_COOKIE = 57;
/** As SO_SNDBUF and SO_RCVBUF, beyond net.core.wmem_max and rmem_max: needs CAP_NET_ADMIN. */
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
/** Linux, in.h and in6.h: without it the kernel does not say that the interface's queue was full (ENOBUFS). */
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
/** strerror(ENOBUFS), as the library says it. */
const QUEUE_FULL = 'No buffer space available';
/** Packets that are read in one turn of the event loop; the library itself reads one. */
const BATCH_PACKETS = 64;
const PACKET_BYTES_MAX = 65_535;

/** A raw socket that sends whole IP packets of one family. */
export interface RawSender {
  /** Sends at once. @returns the kernel's reason against it, or undefined when it took the packet */
  send(buffer: Buffer, offset: number, length: number, address: string): string | undefined;
  close(): void;
}

export interface RawSockets {
  /**
   * @param source of all that is sent, by which the kernel's rules choose its routes; it is not asked when it is not given, or is
   *   IPv4 and no address of this host
   * @throws AnyhopError ERR_CAPABILITY when the kernel refuses the socket
   */
  openSender(family: 4 | 6, source?: IpAddress): RawSender;
  /**
   * Receives a copy of every packet of a protocol that this host takes for itself and that passes a filter.
   * @param filter instructions of src/packet/socket-filter.ts
   * @param take gets the packet with its IP header (IPv4) or without (IPv6), valid during the call, and the sender's address
   * @throws AnyhopError ERR_CAPABILITY when the kernel refuses the socket
   */
  openReceiver(
    family: 4 | 6,
    protocol: number,
    filter: Buffer,
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
    openSender: (family, source) => openSender(raw, family, source),
    openReceiver: (family, protocol, filter, take) => openReceiver(raw, family, protocol, filter, take),
  };
}

/** @throws AnyhopError ERR_NATIVE naming the library that cannot be loaded, and who needs it */
export async function loadOptional<T>(user: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new AnyhopError('ERR_NATIVE', `${user} npm ${name}, which cannot be loaded: ${firstLine(cause)}`, {
      hint: `Install what it is built with (Debian: apt-get install libpcap-dev g++ make python3), then anyhop again: ${installAgain()}`,
      cause,
    });
  }
}

function openSender(raw: Raw, family: 4 | 6, source: IpAddress | undefined): RawSender {
  // The kernel queues packets of protocol 255 for it, which nobody would read.
  const socket = open(raw, family, IPPROTO_RAW, NO_PACKET, 'SO_SNDBUF', SO_SNDBUFFORCE);
  socket.pauseRecv();
  if (source !== undefined) {
    const cookie = Buffer.alloc(8);
    socket.getOption(raw.SocketLevel.SOL_SOCKET, SO_COOKIE, cookie, cookie.length);
    bindSocket(cookie, source.bytes);
  }
  const { IPPROTO_IP, IPPROTO_IPV6 } = raw.SocketLevel;
  if (family === 4) socket.setOption(IPPROTO_IP, IP_RECVERR, 1);
  else socket.setOption(IPPROTO_IPV6, IPV6_RECVERR, 1);
  let closed = false;
  const done = (): void => undefined;
  const attempt = (buffer: Buffer, offset: number, length: number, address: string): string | undefined => {
    try {
      socket.wrap.send(buffer, offset, length, address, done);
      return undefined;
    } catch (error) {
      return firstLine(error);
    }
  };
  return {
    send(buffer, offset, length, address) {
      const failure = attempt(buffer, offset, length, address);
      if (failure === undefined || failure === QUEUE_FULL) return failure;
      // Older kernels report an ICMP error about an earlier packet, which anybody can forge, once and in place of sending.
      return attempt(buffer, offset, length, address);
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
  filter: Buffer,
  take: (packet: Buffer, source: string) => void,
): { close(): void } {
  const socket = open(raw, family, protocol, filter, 'SO_RCVBUF', SO_RCVBUFFORCE);
  const buffer = Buffer.alloc(PACKET_BYTES_MAX);
  let isOpen = true;
  const deliver = (packet: Buffer, source: string): void => {
    try {
      take(packet, source);
    } catch (error) {
      // The library would take it for an error of the socket.
      queueMicrotask(() => {
        throw error;
      });
    }
  };
  const takeOne = (_: Buffer, length: number, source: string): void =>
    deliver(buffer.subarray(0, length), source);
  socket.on('message', (packet, source) => {
    deliver(packet, source);
    try {
      for (let i = 1; i < BATCH_PACKETS && isOpen; i++) socket.wrap.recv(buffer, takeOne);
    } catch {
      // No more of them for now.
    }
  });
  socket.on('error', () => {}); // of one packet, say ENETDOWN; the socket goes on
  return {
    close() {
      isOpen = false;
      socket.close();
    },
  };
}

function open(
  raw: Raw,
  family: 4 | 6,
  protocol: number,
  filter: Buffer,
  buffer: 'SO_SNDBUF' | 'SO_RCVBUF',
  forced: number,
): Socket {
  const option = filterOption(filter);
  const { SOL_SOCKET } = raw.SocketLevel;
  try {
    const addressFamily = family === 4 ? raw.AddressFamily.IPv4 : raw.AddressFamily.IPv6;
    const socket = raw.createSocket({ addressFamily, protocol });
    socket.setOption(SOL_SOCKET, SO_ATTACH_FILTER, option, option.length);
    try {
      socket.setOption(SOL_SOCKET, forced, BUFFER_BYTES);
    } catch {
      socket.setOption(SOL_SOCKET, raw.SocketOption[buffer], BUFFER_BYTES);
    }
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
