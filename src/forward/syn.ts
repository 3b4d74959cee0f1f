/**
 * What a SYN offers. Of two options of a kind the last one counts, and an option that cannot be ends the list, as in kernels. The C side
 * (native/include/anyhop/syn.h) reads what most SYNs look like by place; the result is the same.
 */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';

/** Of one SYN at a time; made once a pipeline. */
export class SynOptions {
  /** 0: none. */
  mss = 0;
  /** COOKIE_NO_WSCALE: none. */
  wscale = 0;
  /** 1 or 0, as the next. */
  sack = 0;
  timestamps = 0;
  /** Of the timestamps, as it is in the packet: an int32. */
  tsval = 0;

  /**
   * @param tcp offset of the TCP header, whose `size` bytes are there
   * @returns whether a cookie can keep what it offers: not MD5 or AO (RFC 2385, RFC 5925), nor more than any system has
   */
  read(view: DataView, tcp: number, size: number): boolean {
    this.mss = 0;
    this.wscale = L.COOKIE_NO_WSCALE;
    this.sack = 0;
    this.timestamps = 0;
    this.tsval = 0;
    const end = tcp + size;
    let isUsual = true;
    let at = tcp + P.TCP_HEADER;
    for (let count = 0; at < end; count++) {
      if (count === L.SYN_OPTIONS_MAX) return false;
      const kind = view.getUint8(at);
      if (kind === P.TCP_OPTION_END) break;
      if (kind === P.TCP_OPTION_NOP) {
        at++;
        continue;
      }
      if (at + 2 > end) break;
      const length = view.getUint8(at + 1);
      if (length < 2 || at + length > end) break;
      if (kind === P.TCP_OPTION_MSS && length === 4) {
        this.mss = view.getUint16(at + 2);
      } else if (kind === P.TCP_OPTION_WSCALE && length === 3) {
        this.wscale = Math.min(view.getUint8(at + 2), L.WSCALE_MAX);
      } else if (kind === P.TCP_OPTION_SACK && length === 2) {
        this.sack = 1;
      } else if (kind === P.TCP_OPTION_TIMESTAMPS && length === 10) {
        this.timestamps = 1;
        this.tsval = view.getInt32(at + 2);
      } else if (kind === P.TCP_OPTION_MD5 || kind === P.TCP_OPTION_AO) {
        isUsual = false;
      }
      at += length;
    }
    return isUsual;
  }
}
