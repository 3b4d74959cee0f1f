/**
 * The traffic generator: millions of packets a second out of one interface of this network namespace, made in the kernel by
 * native/dev/generator.bpf.c. Which kinds of packets there are is decided here, where a packet is words instead of bytes.
 *
 * On veth, what is sent this way arrives only while the far end has an XDP program.
 */
import type { IpAddress } from '#anyhop/packet/address.js';
import { frame, icmpEcho, icmpv6Echo, ipv4, ipv6, payload, tcp, udp } from '../../test/packets/build.js';
import {
  CLIENT_PORT_FIRST,
  CLIENT_PORTS_MAX,
  FIRST_CLIENT4,
  FIRST_CLIENT6,
  SPOOFED_BASE4,
  SPOOFED_BASE6,
  SPOOFED_BITS,
} from './clients.js';
import { DevObject, devLibrary, devObjectPath } from './object.js';
import { type System, synOptions } from './systems.js';

/** Layout of struct anyhop_generator_plan, native/dev/generator.h. */
const PLAN = {
  made: 0,
  count: 8,
  firstNs: 16,
  lastNs: 24,
  gap: 40,
  interfaceIndex: 48,
  flowMask: 52,
  targets: 56,
  length: 60,
  spoofMask: 64,
  packets: 72,
} as const;
const PACKET = {
  length: 120,
  client: 124,
  sum: 128,
  clientAt: 132,
  portAt: 133,
  sumAt: 134,
  portBits: 135,
  ipSum: 136,
  ipSumAt: 140,
  sequenceAt: 141,
  acknowledges: 142,
  bytes: 144,
} as const;
/** Of the checksum in the transport's header. All clients' addresses have the same sum, so that ICMP need not cover them. */
const SUM_AT = { tcp: 16, udp: 6, icmp: 2 } as const;
const HEAD = 80;
const HEAD_WITH_OPTIONS = 120;
const SHORTEST = 60;
/** Of spoofed SYNs, as often as they stand here. */
const SYNS: readonly System[] = ['linux', 'windows', 'linux', 'apple', 'linux', 'windows', 'linux', 'bare'];
const PACKETS_MAX = 256;
const KINDS = 16;

export const TARGETS_MAX: number = PACKETS_MAX / KINDS;
const GAP_UNITS_A_SECOND = 1024e9;
const REPEAT_MAX = 2 ** 31 - 1;
const ETHERNET = 14;
const FCS = 4;
/** Of the checksum in the IPv4 header of a frame. */
const IPV4_SUM_AT = ETHERNET + 10;
const SYN = 2;
/** Of the SYNs of all systems that have them. */
const TIMESTAMP = 0x10203040;
/** Beyond the time that a number of packets takes at a rate: a run takes milliseconds to set up. */
const SLACK_MS = 50;
const PULSE_MS = 20;
/** Of a pulse that a busy machine holds up. */
const PULSE_TIME_MAX_MS = 1_000;

export interface Target {
  readonly address: IpAddress;
  /** Of no meaning with ICMP. */
  readonly port: number;
  /** ICMP, or ICMPv6: echo requests; the clients' ports are their identifiers. */
  readonly protocol: 'tcp' | 'udp' | 'icmp';
}

export interface GeneratorPlan {
  readonly interfaceIndex: number;
  readonly sourceMac: string;
  readonly destinationMac: string;
  /** Up to TARGETS_MAX; flows spread over them evenly. */
  readonly targets: readonly Target[];
  /** A power of two up to FLOWS_MAX. */
  readonly flows: number;
  /** Of each client, a power of two up to CLIENT_PORTS_MAX, which it is when not given; flows beyond have the next client, up to CLIENTS_MAX. */
  readonly ports?: number;
  /** Bytes on the wire, frame check sequence included; packets have each of them equally often. */
  readonly sizes: readonly number[];
  /** Share of TCP packets that are SYNs, 0 to 1, kept to a sixteenth; the rest are ACKs. */
  readonly synShare: number;
  /**
   * Every packet comes from another one of 16.8 million sources (IPv6: as many /64), with random ports and sequence numbers; SYNs
   * have the options of real systems. Flows and ports mean nothing then. Not with ICMP.
   */
  readonly spoofed?: boolean;
}

export interface GeneratorLimits {
  readonly packets: number;
  readonly seconds: number;
  /** Packets a second; as fast as it goes when undefined. */
  readonly rate?: number | undefined;
}

export interface Generated {
  readonly packets: number;
  /** From the first packet to the last, without what it takes to set up a run. */
  readonly seconds: number;
  /** Packets a second. */
  readonly rate: number;
}

interface Kind {
  readonly size: number;
  /** The options of a SYN; undefined for an ACK, or what is not TCP. */
  readonly syn: Uint8Array | undefined;
}

/**
 * The frame that a kind of packet is; IPv6 has at least 84 bytes on the wire, others 64, or 84 and more. Of spoofed ones, the numbers
 * that are random are 0, and options may make them longer.
 */
function frameOf(plan: GeneratorPlan, target: Target, { size, syn }: Kind): Uint8Array {
  const { address, port, protocol } = target;
  const four = address.family === 4;
  const [src4, src6] = plan.spoofed ? [SPOOFED_BASE4, SPOOFED_BASE6] : [FIRST_CLIENT4, FIRST_CLIENT6];
  const ip = four ? ipv4({ src: src4, dst: address.text, df: true }) : ipv6({ src: src6, dst: address.text });
  const echo = four ? icmpEcho : icmpv6Echo;
  const numbers = { sport: CLIENT_PORT_FIRST, dport: port, sequence: 0, acknowledgment: 0 };
  const transport = {
    tcp: () => tcp({ ...numbers, ...(syn ? { flags: ['syn'], options: syn } : { flags: ['ack'] }) }),
    udp: () => udp({ sport: CLIENT_PORT_FIRST, dport: port }),
    icmp: () => echo({ id: CLIENT_PORT_FIRST }),
  }[protocol]();
  const headers = ETHERNET + (four ? 20 : 40) + (protocol === 'tcp' ? 20 + (syn?.length ?? 0) : 8);
  const isShort = four && size - FCS <= SHORTEST;
  const length = Math.max(headers, isShort ? SHORTEST : Math.max(HEAD, size - FCS));
  const zeros = payload(new Uint8Array(length - headers));
  return frame({ src: plan.sourceMac, dst: plan.destinationMac }, ip, transport, zeros);
}

export class Generator {
  readonly #object = new DevObject(devObjectPath('generator'));
  readonly #plan = new DataView(this.#object.memory('.bss'));
  readonly #longest: Buffer;

  constructor(plan: GeneratorPlan) {
    const view = this.#plan;
    const frames = plan.targets.flatMap((target) =>
      Array.from({ length: KINDS }, (_, kind) => frameOf(plan, target, kindOf(plan, target, kind))),
    );
    const longest = Math.max(...frames.map(({ length }) => length));
    this.#longest = Buffer.alloc(longest);
    view.setUint32(PLAN.interfaceIndex, plan.interfaceIndex, true);
    view.setUint32(PLAN.flowMask, plan.flows - 1, true);
    view.setUint32(PLAN.targets, plan.targets.length, true);
    view.setUint32(PLAN.length, longest, true);
    view.setUint32(PLAN.spoofMask, plan.spoofed ? 2 ** SPOOFED_BITS - 1 : 0, true);
    for (const [i, bytes] of frames.entries()) {
      const target = plan.targets[Math.floor(i / KINDS)];
      this.#setPacket(PLAN.packets + i * PACKET.bytes, bytes, target, plan.spoofed === true);
      view.setUint8(
        PLAN.packets + i * PACKET.bytes + PACKET.portBits,
        Math.log2(plan.ports ?? CLIENT_PORTS_MAX),
      );
    }
  }

  /** Packets made since the start. */
  get packets(): number {
    return Number(this.#plan.getBigUint64(PLAN.made, true));
  }

  /**
   * Makes packets until a limit is reached; a signal that the process handles is handled meanwhile. The thread is busy
   * until then.
   */
  async run(limits: GeneratorLimits): Promise<Generated> {
    const { packets, seconds, rate } = limits;
    const elapsed = this.#begin(packets, rate === undefined ? 0 : Math.round(GAP_UNITS_A_SECOND / rate));
    while (this.packets < packets && elapsed() < seconds) {
      const left = packets - this.packets;
      const timeLeftMs = (seconds - elapsed()) * 1000;
      // With a rate a run may also make nothing; then it is the time that tells when all must have been made.
      const repeat = rate === undefined ? Math.min(left, REPEAT_MAX) : REPEAT_MAX;
      const ms = rate === undefined ? timeLeftMs : Math.min(timeLeftMs, (left / rate) * 1000 + SLACK_MS);
      this.#live(repeat, Math.max(1, Math.ceil(ms)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this.#made();
  }

  /**
   * The same with a rate, in bursts with rest between: for machines that need their cores for others too. A burst is handed to the
   * interface 64 packets at a time, so queues at its far end see no more at once. What is missed for longer than a pulse is given up.
   */
  async pulse({ packets, seconds, rate = 0 }: GeneratorLimits): Promise<Generated> {
    const elapsed = this.#begin(packets, 0);
    const burst = Math.ceil((rate * PULSE_MS) / 1000);
    let givenUp = 0;
    while (this.packets < packets && elapsed() < seconds) {
      const late = Math.floor(elapsed() * rate) - givenUp - this.packets;
      givenUp += Math.max(0, late - 2 * burst);
      const due = Math.min(late, 2 * burst, packets - this.packets);
      if (due > 0) this.#live(due, PULSE_TIME_MAX_MS);
      const restMs = PULSE_MS - ((elapsed() * 1000) % PULSE_MS);
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
    return this.#made();
  }

  close(): void {
    this.#object.close();
  }

  /** @returns what tells the seconds since now */
  #begin(packets: number, gap: number): () => number {
    const view = this.#plan;
    view.setBigUint64(PLAN.made, 0n, true);
    view.setBigUint64(PLAN.count, BigInt(packets), true);
    view.setBigUint64(PLAN.gap, BigInt(gap), true);
    view.setBigUint64(PLAN.firstNs, 0n, true);
    view.setBigUint64(PLAN.lastNs, 0n, true);
    const start = process.hrtime.bigint();
    return () => Number(process.hrtime.bigint() - start) / 1e9;
  }

  #made(): Generated {
    const view = this.#plan;
    const took = Number(view.getBigUint64(PLAN.lastNs, true) - view.getBigUint64(PLAN.firstNs, true)) / 1e9;
    return { packets: this.packets, seconds: took, rate: took > 0 ? this.packets / took : 0 };
  }

  #live(repeat: number, milliseconds: number): void {
    const frame = this.#longest;
    this.#object.withProgram('generate', ({ fd }) => {
      devLibrary.call('ERR_BPF', 'anyhop_dev_live_run', fd, frame, frame.length, repeat, milliseconds);
    });
  }

  #setPacket(at: number, bytes: Uint8Array, target: Target, spoofed: boolean): void {
    const plan = this.#plan;
    const four = target.address.family === 4;
    const transport = ETHERNET + (four ? 20 : 40);
    // Of spoofed IPv6 sources it is the /64 that differs.
    const clientAt = ETHERNET + (four || spoofed ? 12 : 20);
    const sumAt = transport + SUM_AT[target.protocol];
    new Uint8Array(plan.buffer, at, HEAD_WITH_OPTIONS).set(bytes.subarray(0, HEAD_WITH_OPTIONS));
    plan.setUint32(at + PACKET.length, bytes.length, true);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    plan.setUint32(at + PACKET.client, view.getUint32(clientAt, true), true);
    // The checksum is the complement of a sum; off that, the port that the template was built with.
    const sum = (~view.getUint16(sumAt) & 0xffff) + (~CLIENT_PORT_FIRST & 0xffff);
    plan.setUint32(at + PACKET.sum, sum, true);
    plan.setUint8(at + PACKET.clientAt, clientAt);
    plan.setUint8(at + PACKET.portAt, transport + (target.protocol === 'icmp' ? 4 : 0));
    plan.setUint8(at + PACKET.sumAt, sumAt);
    if (!spoofed) return;
    if (four) {
      plan.setUint8(at + PACKET.ipSumAt, IPV4_SUM_AT);
      plan.setUint32(at + PACKET.ipSum, ~view.getUint16(IPV4_SUM_AT) & 0xffff, true);
    }
    if (target.protocol !== 'tcp') return;
    plan.setUint8(at + PACKET.sequenceAt, transport + 4);
    const isSyn = (view.getUint8(transport + 13) & SYN) !== 0;
    plan.setUint8(at + PACKET.acknowledges, isSyn ? 0 : 1);
  }
}

function kindOf({ sizes, synShare, spoofed }: GeneratorPlan, target: Target, kind: number): Kind {
  // Sizes come by the kind's low bits, SYNs by its order when these are reversed: neither decides the other.
  const order = reverseBits(kind);
  const isSyn = target.protocol === 'tcp' && order < Math.round(synShare * KINDS);
  const options = spoofed
    ? synOptions(SYNS[order % SYNS.length], target.address.family, TIMESTAMP)
    : new Uint8Array(0);
  return { size: sizes[kind % sizes.length], syn: isSyn ? options : undefined };
}

/** Of a number below KINDS, 16. */
function reverseBits(kind: number): number {
  return ((kind & 1) << 3) | ((kind & 2) << 1) | ((kind & 4) >> 1) | ((kind & 8) >> 3);
}
