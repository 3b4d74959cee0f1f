/**
 * Second chance over the life of a connection: every packet of it has a key, as after a change that has moved its slot here, and
 * none may be sent on for as long as the backend's kernel knows it. The client is written by hand, segment by segment, so that
 * each state is seen for sure; the backend's end is the kernel's.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LabProcess } from '../../scripts/lab/process.js';
import {
  frame,
  gre,
  icmpError,
  icmpv6Error,
  ipv4,
  ipv6,
  type Layer,
  packet,
  payload,
  type TcpFlag,
  tcp,
} from '../packets/build.js';
import type { DecodedPacket } from '../packets/decode.js';
import { Backend, networkSkip } from './backend.js';
import { CLIENT, CLIENT6, inner4, inner6, KEYS, outer4, outer6, VIP, VIP6 } from './fixture.js';
import { verdictsOf } from './load.js';

const READY_TIMEOUT_MS = 20_000;
const PORT = 81;
const MSS = 1300; // fits the wire with all headers around it
/** Of the path, as an ICMP error tells it. */
const MTU = 1280;
const FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, ack: 0x10 } as const;

/** Answers each segment with as many bytes; "end" makes it the first to close, and otherwise it never does. */
const SERVER = `
const { createServer } = require('node:net');
let left = 2;
for (const vip of ['${VIP}', '${VIP6}'])
  createServer({ allowHalfOpen: true }, (client) =>
    client.on('error', () => {}).on('data', (data) => (String(data) === 'end' ? client.end() : client.write(data))),
  ).listen(${PORT}, vip, () => --left === 0 && console.log('listening'));`;

const FAMILIES = [
  { family: 4, outer: outer4, inner: inner4, client: CLIENT, vip: VIP, key: KEYS.peer4, peer: '10.1.0.12' },
  {
    family: 6,
    outer: outer6,
    inner: inner6,
    client: CLIENT6,
    vip: VIP6,
    key: KEYS.peer6,
    peer: 'fd00:1::12',
  },
] as const;

interface Segment {
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly data: string;
  readonly packet: DecodedPacket;
}

/** A client of the VIP whose packets all come with a key that names the alternate. */
class Client {
  readonly #backend: Backend;
  readonly #on: (typeof FAMILIES)[number];
  readonly #sport: number;
  /** Next to be sent, and next to be received. */
  #next = 1000;
  #expected = 0;

  constructor(backend: Backend, on: (typeof FAMILIES)[number], sport: number) {
    this.#backend = backend;
    this.#on = on;
    this.#sport = sport;
  }

  /** Any packet of the flow's. */
  send(...layers: Layer[]): void {
    const { outer, key } = this.#on;
    this.#backend.send(frame({}, outer(), gre({ key }), ...layers));
  }

  /** @param shift of the sequence number: a keepalive probe has the last one again */
  segment(flags: readonly TcpFlag[], data = '', shift = 0): void {
    const isSyn = flags.includes('syn');
    const header = tcp({
      sport: this.#sport,
      dport: PORT,
      flags,
      sequence: this.#next + shift,
      acknowledgment: isSyn ? 0 : this.#expected,
      ...(isSyn && { options: Uint8Array.of(2, 4, MSS >> 8, MSS & 0xff) }),
    });
    this.send(this.#on.inner(), header, ...(data === '' ? [] : [payload(data)]));
    this.#next += data.length + (isSyn || flags.includes('fin') ? 1 : 0);
  }

  /** The next segment of the server that `wanted` accepts; it counts as received. */
  async answer(what: string, wanted: (segment: Segment) => boolean): Promise<Segment> {
    let found: Segment | undefined;
    await this.#backend.answer(what, (each) => {
      const segment = segmentOf(each);
      if (segment === undefined || each.transport?.kind !== 'tcp') return false;
      if (each.transport.dport !== this.#sport || !wanted(segment)) return false;
      found = segment;
      return true;
    });
    const { sequence, flags, data } = found!;
    this.#expected = sequence + data.length + (flags & (FLAGS.syn | FLAGS.fin) ? 1 : 0);
    return found!;
  }

  /** A SYN, answered: the backend is in SYN-RECEIVED. */
  async open(): Promise<void> {
    this.segment(['syn']);
    await this.answer('SYN-ACK', ({ flags }) => flags === (FLAGS.syn | FLAGS.ack));
  }

  async establish(): Promise<void> {
    await this.open();
    this.segment(['ack']);
    await this.echo('hello');
  }

  async echo(text: string): Promise<Segment> {
    this.segment(['ack', 'psh'], text);
    const answer = await this.answer('echo', ({ data }) => data.length > 0);
    this.segment(['ack']);
    return answer;
  }

  /** A keepalive probe is answered by an ACK of what has been said (RFC 9293 section 3.8.4). */
  async probe(): Promise<void> {
    this.segment(['ack'], '', -1);
    const expected = this.#next;
    await this.answer(
      'answer to the probe',
      ({ flags, data, acknowledgment }) => flags === FLAGS.ack && data === '' && acknowledgment === expected,
    );
  }

  /** An ICMP error about a segment of the server that is on its way. */
  tooBig({ sequence }: Segment): void {
    const { family, client, vip } = this.#on;
    const quoted = tcp({ sport: PORT, dport: this.#sport, sequence });
    if (family === 4) {
      const about = packet(ipv4({ src: vip, dst: client, df: true }), quoted);
      this.send(ipv4({ src: '192.0.2.1', dst: vip, ttl: 61 }), icmpError({ type: 3, mtu: MTU, about }));
    } else {
      const about = packet(ipv6({ src: vip, dst: client }), quoted);
      this.send(ipv6({ src: '2001:db8:9::1', dst: vip }), icmpv6Error({ type: 2, mtu: MTU, about }));
    }
  }
}

function segmentOf(each: DecodedPacket): Segment | undefined {
  if (each.transport?.kind !== 'tcp') return undefined;
  const header = Buffer.from(each.payload);
  return {
    sequence: header.readUInt32BE(4),
    acknowledgment: header.readUInt32BE(8),
    flags: header[13] & (FLAGS.fin | FLAGS.syn | FLAGS.rst | FLAGS.ack),
    data: Buffer.from(each.transport.data).toString(),
    packet: each,
  };
}

describe('a connection whose slot has moved', { skip: networkSkip() }, () => {
  let backend: Backend;
  let agent: LabProcess;
  let sport = 46_000;
  before(async () => {
    backend = await Backend.make();
    backend.configure((text) => text.replaceAll('port: 80,', `port: 80-${PORT},`));
    const server = await backend.startScript(SERVER);
    await server.waitForLine((line) => line === 'listening', 'listening', READY_TIMEOUT_MS);
    agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
  });
  after(() => backend?.close());

  for (const on of FAMILIES) {
    const client = (): Client => new Client(backend, on, sport++);

    test(`IPv${on.family}: stays here from its first answer on`, async () => {
      const one = client();
      await one.open();
      one.segment(['ack', 'psh'], 'early'); // the last step of the handshake, with data
      await one.answer('echo', ({ data }) => data === 'early');
      const late = client();
      await late.open();
      await late.answer('SYN-ACK again', ({ flags }) => flags === (FLAGS.syn | FLAGS.ack)); // still waiting
      late.segment(['ack']);
      await late.echo('late');
    });

    test(`IPv${on.family}: is kept alive by probes`, async () => {
      const one = client();
      await one.establish();
      await one.probe();
      await one.probe();
      await one.echo('still here');
    });

    test(`IPv${on.family}: may be half closed by the client, in CLOSE-WAIT here`, async () => {
      const one = client();
      await one.establish();
      one.segment(['fin', 'ack']);
      await one.probe();
      await one.probe();
    });

    test(`IPv${on.family}: is closed from here, through FIN-WAIT and TIME-WAIT`, async () => {
      const one = client();
      await one.establish();
      one.segment(['ack', 'psh'], 'end');
      await one.answer('FIN', ({ flags }) => (flags & FLAGS.fin) !== 0);
      one.segment(['ack']); // FIN-WAIT-2 now
      await one.probe();
      one.segment(['fin', 'ack']);
      await one.answer('last ACK', ({ flags }) => flags === FLAGS.ack);
      await one.probe(); // TIME-WAIT answers what comes again
    });

    test(`IPv${on.family}: learns of a smaller path through an ICMP error`, async () => {
      const one = client();
      await one.establish();
      const long = 'x'.repeat(MSS);
      one.segment(['ack', 'psh'], long);
      const answer = await one.answer('whole segment', ({ data }) => data.length === MSS);
      one.tooBig(answer);
      const smaller = await one.answer(
        'smaller segment',
        ({ data, sequence }) => sequence === answer.sequence && data.length < MSS,
      );
      assert.ok(smaller.packet.bytes.length <= MTU, `${smaller.packet.bytes.length} bytes`);
    });

    test(`IPv${on.family}: is sent on, and errors about it, when it is the alternate's`, async () => {
      const stranger = client();
      stranger.segment(['ack'], '', -1);
      const { transport } = await backend.answer('probe for the peer', ({ dst }) => dst === on.peer);
      assert.ok(transport?.kind === 'gre' && transport.key === undefined);
      stranger.tooBig({ sequence: 1, acknowledgment: 1, flags: 0, data: '', packet: undefined as never });
      await backend.answer('error for the peer', ({ dst }) => dst === on.peer);
    });
  }

  test('has sent on nothing else, and lost nothing', async () => {
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const verdicts = verdictsOf(agent.events);
    assert.deepEqual(
      [verdicts['sent_on'], verdicts['delivered_icmp_error']],
      [2 * FAMILIES.length, FAMILIES.length],
    );
    const lost = Object.entries(verdicts).filter(([name, count]) => name.startsWith('drop_') && count > 0);
    assert.deepEqual(lost, []);
  });
});
