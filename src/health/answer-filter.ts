/** Which TCP packets answer a SYN of a check through the tunnel, for the kernel and for this process. */
import { P } from '../packet/constants.js';
import { SocketFilter } from '../packet/socket-filter.js';
import type { TcpSegment } from '../packet/tcp.js';

/** The first bits of every SYN's sequence number are a secret of the process; the rest is the SYN's own random number. */
export const SECRET_BITS = 12;
export const NUMBER_BITS: number = 32 - SECRET_BITS;

/** A SYN-ACK, or the RST of a closed port (RFC 9293 section 3.10.7.1). */
export function isAnswer({ flags }: TcpSegment): boolean {
  return (flags & P.TCP_ACK) !== 0 && (flags & (P.TCP_SYN | P.TCP_RST)) !== 0;
}

/**
 * The same, to a port from `portFirst` up, that acknowledges a number with this secret. A source address says nothing: anybody
 * can write one.
 */
export function answerFilter(family: 4 | 6, portFirst: number, secret: number): Buffer {
  return new SocketFilter()
    .transportOf(family)
    .byteAt(13)
    .mustHaveAnyBitOf(P.TCP_ACK)
    .mustHaveAnyBitOf(P.TCP_SYN | P.TCP_RST)
    .halfAt(2)
    .mustBeAtLeast(portFirst)
    .wordAt(8)
    .minus(1)
    .shiftedRight(NUMBER_BITS)
    .mustBe(secret)
    .build();
}
