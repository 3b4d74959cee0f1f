/**
 * The traffic generator: millions of packets a second out of one interface of this network namespace, made in the kernel by
 * native/dev/generator.bpf.c. Which kinds of packets there are is decided here, where a packet is words instead of bytes.
 *
 * On veth, what is sent this way arrives only while the far end has an XDP program.
 */
import type { IpAddress } from '#anyhop/packet/address.js';
import { frame, icmpEcho, icmpv6Echo, ipv4, ipv6, payload, tcp, udp } from '../../test/packets/build.js';
import { CLIENT_PORT_FIRST, CLIENT_PORTS_MAX, FIRST_CLIENT4, FIRST_CLIENT6 } from './clients.js';
import { DevObject, devLibrary, devObjectPath } from './object.js';

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
  packets: 64,
} as const;
const PACKET = {
  length: 80,
  client: 84,
  sum: 88,
  clientAt: 92,
  portAt: 93,
  sumAt: 94,
  portBits: 95,
  bytes: 96,
} as const;
/** Of the checksum in the transport's header. All clients' addresses have the same sum, so that ICMP need not cover them. */
const SUM_AT = { tcp: 16, udp: 6, icmp: 2 } as const;
const HEAD = 80;
const SHORTEST = 60;
const PACKETS_MAX = 256;
const KINDS = 16;

export const TARGETS_MAX: number = PACKETS_MAX / KINDS;
const GAP_UNITS_A_SECOND = 1024e9;
const REPEAT_MAX = 2 ** 31 - 1;
const ETHERNET = 14;
const FCS = 4;
/** Beyond the time that a number of packets takes at a rate: a run takes milliseconds to set up. */
const SLACK_MS = 50;

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

/** The frame that a kind of packet is; IPv6 has at least 84 bytes on the wire, others 64, or 84 and more. */
function frameOf(plan: GeneratorPlan, target: Target, size: number, isSyn: boolean): Uint8Array {
  const { address, port, protocol } = target;
  const four = address.family === 4;
  const ip = four
    ? ipv4({ src: FIRST_CLIENT4, dst: address.text, df: true })
    : ipv6({ src: FIRST_CLIENT6, dst: address.text });
  const echo = four ? icmpEcho : icmpv6Echo;
  const transport = {
    tcp: () => tcp({ sport: CLIENT_PORT_FIRST, dport: port, flags: [isSyn ? 'syn' : 'ack'] }),
    udp: () => udp({ sport: CLIENT_PORT_FIRST, dport: port }),
    icmp: () => echo({ id: CLIENT_PORT_FIRST }),
  }[protocol]();
  const headers = ETHERNET + (four ? 20 : 40) + (protocol === 'tcp' ? 20 : 8);
  const length = four && size - FCS <= SHORTEST ? SHORTEST : Math.max(HEAD, size - FCS);
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
      Array.from({ length: KINDS }, (_, kind) => {
        const size = plan.sizes[kind % plan.sizes.length];
        // Sizes come by the kind's low bits, SYNs by its order when these are reversed: neither decides the other.
        return frameOf(plan, target, size, reverseBits(kind) < Math.round(plan.synShare * KINDS));
      }),
    );
    const longest = Math.max(...frames.map(({ length }) => length));
    this.#longest = Buffer.alloc(longest);
    view.setUint32(PLAN.interfaceIndex, plan.interfaceIndex, true);
    view.setUint32(PLAN.flowMask, plan.flows - 1, true);
    view.setUint32(PLAN.targets, plan.targets.length, true);
    view.setUint32(PLAN.length, longest, true);
    for (const [i, bytes] of frames.entries()) {
      const target = plan.targets[Math.floor(i / KINDS)];
      this.#setPacket(PLAN.packets + i * PACKET.bytes, bytes, target);
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
    const view = this.#plan;
    const { packets, seconds, rate } = limits;
    const start = process.hrtime.bigint();
    const elapsed = (): number => Number(process.hrtime.bigint() - start) / 1e9;
    view.setBigUint64(PLAN.made, 0n, true);
    view.setBigUint64(PLAN.count, BigInt(packets), true);
    view.setBigUint64(PLAN.gap, BigInt(rate === undefined ? 0 : Math.round(GAP_UNITS_A_SECOND / rate)), true);
    view.setBigUint64(PLAN.firstNs, 0n, true);
    view.setBigUint64(PLAN.lastNs, 0n, true);
    while (this.packets < packets && elapsed() < seconds) {
      const left = packets - this.packets;
      const timeLeftMs = (seconds - elapsed()) * 1000;
      // With a rate a run may also make nothing; then it is the time that tells when all must have been made.
      const repeat = rate === undefined ? Math.min(left, REPEAT_MAX) : REPEAT_MAX;
      const ms = rate === undefined ? timeLeftMs : Math.min(timeLeftMs, (left / rate) * 1000 + SLACK_MS);
      this.#live(repeat, Math.max(1, Math.ceil(ms)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const took = Number(view.getBigUint64(PLAN.lastNs, true) - view.getBigUint64(PLAN.firstNs, true)) / 1e9;
    return { packets: this.packets, seconds: took, rate: took > 0 ? this.packets / took : 0 };
  }

  close(): void {
    this.#object.close();
  }

  #live(repeat: number, milliseconds: number): void {
    const frame = this.#longest;
    this.#object.withProgram('generate', ({ fd }) => {
      devLibrary.call('ERR_BPF', 'anyhop_dev_live_run', fd, frame, frame.length, repeat, milliseconds);
    });
  }

  #setPacket(at: number, bytes: Uint8Array, target: Target): void {
    const plan = this.#plan;
    const four = target.address.family === 4;
    const transport = ETHERNET + (four ? 20 : 40);
    const clientAt = ETHERNET + (four ? 12 : 20);
    const sumAt = transport + SUM_AT[target.protocol];
    new Uint8Array(plan.buffer, at, HEAD).set(bytes.subarray(0, HEAD));
    plan.setUint32(at + PACKET.length, bytes.length, true);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    plan.setUint32(at + PACKET.client, view.getUint32(clientAt, true), true);
    // The checksum is the complement of a sum; off that, the port that the template was built with.
    const sum = (~view.getUint16(sumAt) & 0xffff) + (~CLIENT_PORT_FIRST & 0xffff);
    plan.setUint32(at + PACKET.sum, sum, true);
    plan.setUint8(at + PACKET.clientAt, clientAt);
    plan.setUint8(at + PACKET.portAt, transport + (target.protocol === 'icmp' ? 4 : 0));
    plan.setUint8(at + PACKET.sumAt, sumAt);
  }
}

/** Of a number below KINDS, 16. */
function reverseBits(kind: number): number {
  return ((kind & 1) << 3) | ((kind & 2) << 1) | ((kind & 4) >> 1) | ((kind & 8) >> 3);
}
