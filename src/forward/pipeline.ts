/**
 * The pipeline: one frame in, one verdict out, and the frame that is to be sent left in the same memory. This is the
 * reference that the C pipeline is held to, byte for byte.
 *
 *   parse -> match VIP -> match service -> flow hash -> slot -> owner -> encapsulate
 *                                     \-> answer (echo, too big)      \-> or another verdict
 *
 * It reads nothing but the image and the packet, and no socket is in sight. A frame lies at (view, start) with
 * HEADROOM free bytes before it, which the outer headers grow into; the inner packet stays where it is. Every read is
 * behind a bounds check against the frame's end. No allocation, exception, string or closure a packet: state is in
 * small-integer fields and in typed arrays made once.
 *
 * Beware: a verdict that forwards or answers has overwritten the frame and the headroom before it.
 */
import '../core/inlining.js';
import { L } from '../core/layout.gen.js';
import type { Image } from '../image/read.js';
import { P } from '../packet/constants.js';
import { COUNTERS_PER_ENTRY, Counters } from './counters.js';
import { fleetOffsetMs, guardBytes, makeGuardState, unitsAt } from './guard-state.js';
import { parseIpv4 } from './ipv4.js';
import { parseIpv6 } from './ipv6.js';
import { PacketState } from './packet-state.js';

/** The last of the verdicts that forward; they are the first in the list. */
const FORWARDED_LAST = L.V_FORWARDED_ICMP_ERROR;

export class Pipeline extends PacketState {
  readonly counters: Counters;

  /** @param guardState what rules of defence count in, by makeGuardState; without it they get their own when there are some */
  constructor(image: Image, counters: Counters = new Counters(), guardState?: Int32Array) {
    super(image);
    if (guardState !== undefined) this.guardState = guardState;
    this.counters = counters;
    this.publish(image);
  }

  /** Makes an image the live one, between two packets. @throws RangeError when it is older than the live one */
  publish(image: Image): void {
    if (image.generation < this.image.generation) {
      throw new RangeError(
        `generation ${image.generation} is older than the live one, ${this.image.generation}`,
      );
    }
    this.counters.grow(image.serviceCounters, image.backendCounters);
    if (image.serviceCounters < this.image.serviceCounters) this.synsPending.fill(0); // numbers are given anew
    this.image = image;
    if (image.rulesWord !== 0) this.#guard(image);
  }

  /**
   * Decides on one frame.
   *
   * @param view the whole packet memory
   * @param start offset of the Ethernet header; at least HEADROOM bytes before it are free
   * @param length of the frame, 0 to 65535 bytes
   * @returns a V_... number, already counted
   */
  process(view: DataView, start: number, length: number): number {
    const verdict = this.decide(view, start, start + length);
    const counters = this.counters;
    counters.verdicts[verdict]++;
    if (verdict <= FORWARDED_LAST) {
      const bytes = this.end - this.l3;
      const service = this.serviceCounter * COUNTERS_PER_ENTRY;
      const backend = this.backendCounter * COUNTERS_PER_ENTRY;
      counters.services[service]++;
      counters.services[service + 1] += bytes;
      counters.backends[backend]++;
      counters.backends[backend + 1] += bytes;
    }
    return verdict;
  }

  /** The time of the packets to come, for rules of defence. @param monotonicMs of CLOCK_MONOTONIC; captures have their own */
  setClock(monotonicMs: number): void {
    this.now = unitsAt(monotonicMs);
    const { guardState } = this;
    const offsetMs = guardState.length > 0 ? fleetOffsetMs(guardState) : 0;
    this.fleetMs = offsetMs === 0 ? 0 : Math.floor(monotonicMs) + offsetMs;
  }

  #guard({ serviceCounters }: Image): void {
    if (this.guardState.length < guardBytes(serviceCounters) / 4) this.guardState = makeGuardState();
    if (this.synsPending.length < serviceCounters * 2) this.synsPending = new Int32Array(serviceCounters * 2);
    this.guarded = this.counters.guarded;
  }

  private decide(view: DataView, start: number, end: number): number {
    let l3 = start + P.ETHERNET_HEADER;
    if (end < l3) return L.V_PASS_NOT_IP;
    let type = view.getUint16(l3 - 2);
    for (let tags = 0; tags < L.VLAN_TAGS_READ; tags++) {
      if (!isVlan(type)) break;
      l3 += P.VLAN_TAG;
      if (end < l3) return L.V_PASS_NOT_IP;
      type = view.getUint16(l3 - 2);
    }
    this.frame = start;
    this.l3 = l3;
    if (type === P.ETHERTYPE_IPV4) return parseIpv4(this, view, end);
    if (type === P.ETHERTYPE_IPV6) return parseIpv6(this, view, end);
    if (!isVlan(type)) return L.V_PASS_NOT_IP;
    // A stack of tags that nobody reads to its end must not reach the host, which would: a VIP may be behind it.
    const verdict = this.image.judgeMac(view, start);
    return verdict === L.V_PASS_OTHER_HOST ? verdict : L.V_DROP_VLAN_TAGS;
  }
}

function isVlan(etherType: number): boolean {
  return etherType === P.ETHERTYPE_VLAN || etherType === P.ETHERTYPE_SERVICE_VLAN;
}
