/**
 * Classic BPF programs that select in the kernel which packets a socket gets (Linux: Documentation/networking/filter.rst). Only
 * loads, tests that a packet must pass, and an end. An instruction has a code, two jumps and a number, in the machine's byte
 * order; a load beyond the packet's end refuses the packet.
 */
import { endianness } from 'node:os';

const INSTRUCTION_BYTES = 8;
const WHOLE_PACKET = 0xffff_ffff;

const enum Code {
  LOAD_BYTE = 0x50, // BPF_LD | BPF_B | BPF_IND: at X + k
  LOAD_HALF = 0x48,
  LOAD_WORD = 0x40,
  /** X = 4 * (byte k & 15): the length of an IPv4 header. */
  INDEX_IPV4 = 0xb1,
  INDEX_NUMBER = 0x01,
  SUBTRACT = 0x14,
  SHIFT_RIGHT = 0x74,
  IS_EQUAL = 0x15,
  IS_AT_LEAST = 0x35,
  HAS_ANY_BIT = 0x45,
  RETURN = 0x06,
}

interface Instruction {
  readonly code: Code;
  readonly k: number;
  /** A test: the packet is refused unless it holds. */
  readonly isTest: boolean;
}

/** Builds a filter that accepts a packet when all its tests hold. */
export class SocketFilter {
  readonly #instructions: Instruction[] = [];

  /**
   * Makes further offsets relative to the transport header.
   * @param family of a raw socket: an IPv4 one sees the IP header, an IPv6 one does not (raw(7), ipv6(7))
   */
  transportOf(family: 4 | 6): this {
    return family === 4 ? this.#add(Code.INDEX_IPV4, 0) : this.#add(Code.INDEX_NUMBER, 0);
  }

  byteAt(offset: number): this {
    return this.#add(Code.LOAD_BYTE, offset);
  }

  halfAt(offset: number): this {
    return this.#add(Code.LOAD_HALF, offset);
  }

  wordAt(offset: number): this {
    return this.#add(Code.LOAD_WORD, offset);
  }

  /** Subtracts from the loaded value. */
  minus(number: number): this {
    return this.#add(Code.SUBTRACT, number);
  }

  shiftedRight(bits: number): this {
    return this.#add(Code.SHIFT_RIGHT, bits);
  }

  mustBe(number: number): this {
    return this.#add(Code.IS_EQUAL, number, true);
  }

  mustBeAtLeast(number: number): this {
    return this.#add(Code.IS_AT_LEAST, number, true);
  }

  mustHaveAnyBitOf(bits: number): this {
    return this.#add(Code.HAS_ANY_BIT, bits, true);
  }

  /** The instructions; at most 255 after the first test, so that its jump reaches the end. */
  build(): Buffer {
    return encode([...this.#instructions, { code: Code.RETURN, k: WHOLE_PACKET, isTest: false }, REFUSE]);
  }

  #add(code: Code, k: number, isTest = false): this {
    this.#instructions.push({ code, k, isTest });
    return this;
  }
}

const REFUSE: Instruction = { code: Code.RETURN, k: 0, isTest: false };

/** For a socket that only sends. */
export const NO_PACKET: Buffer = encode([REFUSE]);

function encode(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isLittle = endianness() === 'LE';
  for (const [i, { code, k, isTest }] of instructions.entries()) {
    const at = i * INSTRUCTION_BYTES;
    view.setUint16(at, code, isLittle);
    // A test that fails jumps to the last instruction.
    if (isTest) view.setUint8(at + 3, instructions.length - 2 - i);
    view.setUint32(at + 4, k, isLittle);
  }
  return bytes;
}
