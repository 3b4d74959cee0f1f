/**
 * The answer to a SYN with a SYN cookie (cookie.ts), in its place: from the VIP, with the frame's MAC addresses swapped and its VLAN tags
 * kept. The frame keeps its end; its head moves.
 *
 *   | layer 2 | IP header of 20 or 40 bytes | TCP 20 | MSS 4 | SACK and timestamps 12, or SACK 4, or none | window scale 4, or none |
 *
 * What a client did not offer it is not told, but for the MSS: so an answer is 4 bytes longer than the SYN at most, and nobody gains by
 * having SYNs answered to somebody else. Data of a SYN (TCP Fast Open) is not acknowledged: the client sends it again.
 */
import { L } from '../core/layout.gen.js';
import { finish, sumWords } from '../packet/checksum.js';
import { P } from '../packet/constants.js';
import { startFrame } from './answer.js';
import { cookieOptions, makeCookie, setCookieFlow } from './cookie.js';
import type { PacketState } from './packet-state.js';

const OPTIONS_MSS = 0x02040000;
const OPTIONS_WSCALE = 0x01030300 | L.COOKIE_WSCALE;
const OPTIONS_SACK_TIMESTAMPS = 0x0402080a;
const OPTIONS_TIMESTAMPS = 0x0101080a;
const OPTIONS_SACK = 0x01010402;

const PATH_L2_SHIFT = (L.PATH_L2_LENGTH % 4) * 8;
const PATH_FLAGS_SHIFT = (L.PATH_FLAGS % 4) * 8;

/**
 * Whether a cookie can answer a SYN: its headers are there, it comes from the address of a single machine, and from a port, and a
 * cookie can keep what it offers, which is in p.synOptions then.
 *
 * @param tcp offset of its TCP header, whose 20 bytes are there, right behind an IP header without options or extension headers
 */
export function canAnswerSyn(p: PacketState, view: DataView, tcp: number): boolean {
  const size = (view.getUint8(tcp + 12) >>> 4) * 4;
  if (size < P.TCP_HEADER || tcp + size > p.end) return false;
  if ((view.getUint8(p.frame + 6) & 1) !== 0 || view.getUint16(tcp) === 0) return false;
  return p.synOptions.read(view, tcp, size);
}

/**
 * Writes the answer, for the backend p.backend, which takes cookies.
 *
 * @param tcp offset of the SYN's TCP header, right behind an IP header without options or extension headers; p.synOptions has what it
 *   offers
 * @param hasKeys whether packets of the service may carry a key
 */
export function answerSyn(p: PacketState, view: DataView, tcp: number, hasKeys: boolean): void {
  const image = p.image;
  const options = p.synOptions;
  const message = p.cookieMessage;
  const is4 = p.family === 4;
  const ipLength = is4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  const clientPort = view.getUint16(tcp);
  const port = view.getUint16(tcp + 2);
  const isn = view.getInt32(tcp + 4);
  const hasEcn = (view.getUint8(tcp + 13) & (P.TCP_ECE | P.TCP_CWR)) === (P.TCP_ECE | P.TCP_CWR);
  // Only beside a timestamp, which remembers it (RFC 3168 section 6.1.1).
  const ecn = hasEcn ? options.timestamps : 0;
  const scales = options.wscale !== L.COOKIE_NO_WSCALE;

  const way = image.words[image.pathWord + p.backend * (L.SIZEOF_PATH / 4)];
  const outer6 = ((way >>> PATH_FLAGS_SHIFT) & L.PATH_OUTER_IPV6) !== 0;
  const tunnel = (outer6 ? P.IPV6_HEADER : P.IPV4_HEADER) + P.GRE_HEADER + (hasKeys ? P.GRE_KEY : 0);
  const most = is4 ? L.COOKIE_MSS4_3 : L.COOKIE_MSS6_3;
  const mss = Math.min((way & 0xffff) - tunnel - ipLength - P.TCP_HEADER, most);

  const addresses = is4 ? p.l3 + 12 : p.l3 + 8;
  const words = is4 ? 2 : 8;
  for (let i = 0; i < words; i++) message[i] = view.getInt32(addresses + i * 4, true);
  takeOwner(p, (way >>> PATH_L2_SHIFT) & 0xff, outer6);
  setCookieFlow(
    message,
    p.family,
    view.getInt32(tcp, true),
    view.getInt32(tcp + 4, true),
    owner[0],
    owner[1],
  );
  const cookie = makeCookie(
    image.words,
    image.cookieKeyWord,
    message,
    p.family,
    Math.floor(p.fleetMs / 2 ** L.COOKIE_EPOCH_SHIFT) | 0,
    cookieOptions(options.mss, options.sack, options.wscale, p.family),
  );

  const optionLength = 4 + (options.timestamps !== 0 ? 12 : options.sack * 4) + (scales ? 4 : 0);
  const length = P.TCP_HEADER + optionLength;
  const out = p.end - length;
  startFrame(p, view, out - ipLength);
  p.outLength = p.end - p.outStart;
  writeIp(p, view, out - ipLength, length);
  view.setUint16(out, port);
  view.setUint16(out + 2, clientPort);
  view.setInt32(out + 4, cookie);
  view.setInt32(out + 8, isn + 1);
  view.setUint16(out + 12, (length << 10) | P.TCP_SYN | P.TCP_ACK | (ecn !== 0 ? P.TCP_ECE : 0));
  view.setUint16(out + 14, L.COOKIE_WINDOW);
  view.setInt32(out + 16, 0);
  view.setInt32(out + 20, OPTIONS_MSS | mss);
  let at = out + 24;
  if (options.timestamps !== 0) {
    view.setInt32(at, options.sack !== 0 ? OPTIONS_SACK_TIMESTAMPS : OPTIONS_TIMESTAMPS);
    view.setInt32(at + 4, (p.fleetMs & ~L.COOKIE_TSVAL_ECN) | ecn);
    view.setInt32(at + 8, options.tsval);
    at += 12;
  } else if (options.sack !== 0) {
    view.setInt32(at, OPTIONS_SACK);
    at += 4;
  }
  if (scales) view.setInt32(at, OPTIONS_WSCALE);
  // The pseudo-header (RFC 9293 section 3.1): both addresses, length, protocol.
  const pseudo = is4 ? sumWords(view, out - 8, 8) : sumWords(view, out - 32, 32);
  view.setUint16(out + 16, finish(sumWords(view, out, length) + pseudo + length + P.PROTOCOL_TCP));
}

const owner = new Int32Array(2);

/** Takes the underlay address of p.backend, as a cookie has it, from its template behind `l2` bytes of layer 2. */
function takeOwner({ image, backend }: PacketState, l2: number, outer6: boolean): void {
  const { halves } = image;
  const at = 2 * image.templateWord + backend * (L.TEMPLATE_SIZE / 2) + (l2 + (outer6 ? 24 : 16)) / 2;
  owner[0] = halves[at] | (halves[at + 1] << 16);
  owner[1] = 0;
  if (!outer6) return;
  owner[0] ^= halves[at + 4] | (halves[at + 5] << 16);
  owner[1] = (halves[at + 2] | (halves[at + 3] << 16)) ^ (halves[at + 6] | (halves[at + 7] << 16));
}

/** The IP header, from the VIP to the client, whose addresses are in p.cookieMessage, before `payload` bytes. */
function writeIp(p: PacketState, view: DataView, ip: number, payload: number): void {
  const message = p.cookieMessage;
  if (p.family === 4) {
    view.setUint16(ip, 0x4500);
    view.setUint16(ip + 2, P.IPV4_HEADER + payload);
    view.setInt32(ip + 4, P.IPV4_DONT_FRAGMENT);
    view.setInt32(ip + 8, (P.NODE_TTL << 24) | (P.PROTOCOL_TCP << 16));
    view.setInt32(ip + 12, message[1], true);
    view.setInt32(ip + 16, message[0], true);
    view.setUint16(ip + 10, finish(sumWords(view, ip, P.IPV4_HEADER)));
    return;
  }
  view.setInt32(ip, 0x60000000);
  view.setInt32(ip + 4, (payload << 16) | (P.PROTOCOL_TCP << 8) | P.NODE_TTL);
  for (let i = 0; i < 4; i++) {
    view.setInt32(ip + 8 + i * 4, message[4 + i], true);
    view.setInt32(ip + 24 + i * 4, message[i], true);
  }
}
