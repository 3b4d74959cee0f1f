/**
 * A capture: npm `cap` over libpcap, opened and closed in the only ways that it survives. Its traps:
 *
 *  - It hands over packets in a loop of its own for as long as there are any. Under overload neither timers nor
 *    signals would ever run; who captures has to replace the capture now and then (engine.ts).
 *  - Its handle is never taken off libuv's list, so that an object which is collected as garbage leaves that list
 *    pointing at freed memory; and one whose `open` failed aborts the process when it is closed or collected. So
 *    every object is kept for good, and one that failed is not closed. A kept one takes some 3 KB.
 *  - When the interface goes down or away while it captures, its socket has an error, and an assertion of it aborts the
 *    process (SIGABRT, exit code 134) in the turn of the event loop in which the kernel says so: there is no way to come
 *    before it. So the error never reaches it (native/lib/capture.c). Of a thousand flaps under traffic none got through.
 *  - On an interface without an IPv4 address libpcap writes `Warning: ... no IPv4 address assigned` to standard error,
 *    which means nothing here.
 */
import type { Cap } from 'cap';
import { AnyhopError } from '../../core/errors.js';
import { type InterfaceState, packetSockets, ShieldedSocket } from '../../ffi/shielded-socket.js';

export interface Capture {
  /**
   * Of the interface that is captured on: when one that was down is up again, so is the capture. To be asked for now and then, since
   * until then the event loop finds something to read where there is nothing.
   */
  interfaceState(): InterfaceState;
  close(): void;
}

export interface CaptureOptions {
  readonly interface: string;
  /** In libpcap's language. */
  readonly filter: string;
  readonly ringBytes: number;
  /** Each packet is copied to its start. */
  readonly buffer: Buffer;
  /** Called for each packet, with the bytes that were captured. */
  readonly onPacket: (length: number) => void;
}

const kept: Cap[] = [];

/** @throws AnyhopError ERR_INTERFACE with libpcap's reason, or when the interface is not Ethernet */
export function openCapture(Constructor: new () => Cap, options: CaptureOptions): Capture {
  const capture = new Constructor();
  kept.push(capture);
  const others = new Set(packetSockets());
  let linkType: string;
  try {
    linkType = capture.open(options.interface, options.filter, options.ringBytes, options.buffer);
  } catch (cause) {
    throw new AnyhopError(
      'ERR_INTERFACE',
      `libpcap cannot capture on ${options.interface}: ${(cause as Error).message}`,
      { hint: `See: ip link show ${options.interface}; tcpdump -i ${options.interface} -c 1`, cause },
    );
  }
  let socket: ShieldedSocket | undefined;
  const close = (): void => {
    capture.removeAllListeners();
    capture.close();
    socket?.close();
  };
  try {
    const [fd = -1] = packetSockets().filter((each) => !others.has(each));
    socket = new ShieldedSocket(fd); // before the event loop's next turn, in which it begins to poll
  } catch (error) {
    close();
    throw error;
  }
  if (linkType !== 'ETHERNET') {
    close();
    throw new AnyhopError('ERR_INTERFACE', `${options.interface} is of type ${linkType}, not Ethernet`);
  }
  capture.on('packet', options.onPacket);
  const shielded = socket;
  return { interfaceState: () => shielded.interfaceState(), close };
}
