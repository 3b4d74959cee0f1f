/**
 * TCP by hand from the lab's client machine: any SYN, any ACK, at any time, which a kernel would not send. It has addresses of its
 * own, so that the machine's kernel knows nothing of its connections and resets none of them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inNamespace } from '../../scripts/lab/command.js';
import type { Lab } from '../../scripts/lab/lab.js';
import { HOST_LINK, VIP4, VIP6 } from '../../scripts/lab/topology.js';
import { type System, synOptions } from '../../scripts/native/systems.js';
import { concat, frame, ipv4, ipv6, payload, type TcpFlag, tcp, tcpOption } from '../packets/build.js';
import { decodeFrame } from '../packets/decode.js';

const WIRE = fileURLToPath(new URL('../agent/wire.js', import.meta.url));
const ADDRESSES = { 4: '192.0.2.77', 6: '2001:db8:1::77' } as const;
const VIPS = { 4: VIP4, 6: VIP6 } as const;
const PORT = 80;
const ANSWER_MS = 1_500;
const POLL_MS = 2;
const FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr'] as const;
const REQUEST = 'GET / HTTP/1.1\r\nHost: raw.example\r\n\r\n';
const TIMESTAMP = 1_000_000;

/** A segment from the VIP. */
export interface Segment {
  readonly atMs: number;
  readonly flags: readonly string[];
  readonly sequence: number;
  readonly acknowledgment: number;
  /** Its TCP options by number; their values. */
  readonly options: ReadonlyMap<number, Buffer>;
  readonly data: string;
}

/** Frames at the client machine's link. */
export class RawLink {
  readonly #wire: ChildProcess;
  readonly #macs: { src: string; dst: string };
  readonly #segments = new Map<string, Segment[]>();
  #port = 30_000;

  private constructor(wire: ChildProcess, macs: { src: string; dst: string }) {
    this.#wire = wire;
    this.#macs = macs;
  }

  static async open({ client, router, exec }: Lab): Promise<RawLink> {
    const macOf = async (namespace: string, name: string): Promise<string> =>
      JSON.parse(await exec(namespace, ['ip', '-json', 'link', 'show', name]))[0].address;
    const [src, dst] = await Promise.all([macOf(client.namespace, HOST_LINK), macOf(router, client.name)]);
    for (const address of Object.values(ADDRESSES))
      await exec(router, [
        'ip',
        'neigh',
        'replace',
        address,
        'lladdr',
        src,
        'dev',
        client.name,
        'nud',
        'permanent',
      ]);
    const filter = `tcp and (dst host ${ADDRESSES[4]} or dst host ${ADDRESSES[6]})`;
    const [program, ...args] = inNamespace(client.namespace, [process.execPath, WIRE, HOST_LINK, filter]);
    const wire = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const link = new RawLink(wire, { src, dst });
    await new Promise<void>((resolve, reject) => {
      wire.once('error', reject);
      wire.once('close', () => reject(new Error('the wire did not open')));
      createInterface({ input: wire.stdout }).on('line', (line) => {
        if (line === 'open') resolve();
        else link.#take(Buffer.from(line, 'hex'));
      });
    });
    return link;
  }

  close(): void {
    this.#wire.stdin!.end();
  }

  connection(plan: ConnectionPlan): RawConnection {
    const { port = this.#port++ } = plan;
    return new RawConnection(this, { ...plan, port });
  }

  /** What came for a client's port, in order. */
  segments(family: 4 | 6, port: number): Segment[] {
    const key = `${family} ${port}`;
    const found = this.#segments.get(key) ?? [];
    this.#segments.set(key, found);
    return found;
  }

  /** All at once, as far as that goes. */
  send(...frames: readonly ((macs: { src: string; dst: string }) => Uint8Array)[]): void {
    const lines = frames.map((make) => `${Buffer.from(make(this.#macs)).toString('hex')}\n`);
    this.#wire.stdin!.write(lines.join(''));
  }

  #take(bytes: Buffer): void {
    const { packet } = decodeFrame(Uint8Array.from(bytes));
    if (packet?.transport?.kind !== 'tcp') return;
    const { dport, options, data } = packet.transport;
    const header = Buffer.from(packet.payload);
    this.segments(packet.version, dport).push({
      atMs: Date.now(),
      flags: FLAGS.filter((_, bit) => header[13]! & (1 << bit)),
      sequence: header.readUInt32BE(4),
      acknowledgment: header.readUInt32BE(8),
      options: optionsOf(Buffer.from(options)),
      data: Buffer.from(data).toString('latin1'),
    });
  }
}

function optionsOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const length = bytes[at] === 1 ? 1 : bytes[at + 1]!;
    if (bytes[at] !== 1) found.set(bytes[at]!, bytes.subarray(at + 2, at + length));
    at += length;
  }
  return found;
}

export interface ConnectionPlan {
  readonly family: 4 | 6;
  readonly system: System;
  readonly ecn?: boolean;
  /** The client's; a new one when not given. */
  readonly port?: number;
  readonly isn?: number;
}

export class RawConnection {
  readonly family: 4 | 6;
  readonly port: number;
  readonly #link: RawLink;
  readonly #plan: ConnectionPlan;
  readonly #isn: number;
  #sent = 0;
  /** Of the server's sequence numbers, the next one; 0 before its SYN. */
  #next = 0;
  #echo: number | undefined;
  #value = TIMESTAMP;
  #read = 0;

  constructor(link: RawLink, plan: ConnectionPlan & { port: number }) {
    this.#link = link;
    this.#plan = plan;
    this.family = plan.family;
    this.port = plan.port;
    this.#isn = plan.isn ?? (plan.port * 7919) >>> 0;
  }

  get segments(): readonly Segment[] {
    return this.#link.segments(this.family, this.port);
  }

  /** As `anyhop which` takes them: `192.0.2.77:30000`. */
  get source(): string {
    return this.family === 4 ? `${ADDRESSES[4]}:${this.port}` : `[${ADDRESSES[6]}]:${this.port}`;
  }

  get destination(): string {
    return this.family === 4 ? `${VIP4}:${PORT}` : `[${VIP6}]:${PORT}`;
  }

  /** Sends the SYN, again if it was sent before. */
  syn(): void {
    const { family, system, ecn } = this.#plan;
    const flags: TcpFlag[] = ecn ? ['syn', 'ece', 'cwr'] : ['syn'];
    this.#link.send(
      this.#frame(flags, { options: synOptions(system, family, TIMESTAMP), sequence: this.#isn }),
    );
  }

  /** The next SYN-ACK, which the rest goes by from now on; undefined when none comes. */
  async synAck(): Promise<Segment | undefined> {
    const found = await this.#await(({ flags }) => flags.includes('syn') && flags.includes('ack'));
    if (found === undefined) return undefined;
    this.#next = (found.sequence + 1) >>> 0;
    this.#echo = found.options.get(8)?.readUInt32BE(0);
    return found;
  }

  ack(): void {
    this.#link.send(this.#segment(['ack']));
  }

  /** A request; once more the same with `again`. */
  request(again = false): void {
    if (again) this.#sent -= REQUEST.length;
    this.#link.send(this.#segment(['ack', 'psh'], REQUEST));
  }

  /** Both at once. */
  ackAndRequest(): void {
    this.#link.send(this.#segment(['ack']), this.#segment(['ack', 'psh'], REQUEST));
  }

  /** The backend that answers the request, which is then acknowledged; undefined when none does. */
  async answer(): Promise<string | undefined> {
    const found = await this.#await(({ data }) => /^X-Backend: /m.test(data));
    if (found === undefined) return undefined;
    this.#next = (found.sequence + found.data.length) >>> 0;
    this.ack();
    return /^X-Backend: (\S+)\r$/m.exec(found.data)?.[1];
  }

  /** Whether the server resets it, within the time of an answer. */
  async wasReset(): Promise<boolean> {
    return (await this.#await(({ flags }) => flags.includes('rst'))) !== undefined;
  }

  reset(): void {
    this.#link.send(this.#segment(['rst', 'ack']));
  }

  async #await(wanted: (segment: Segment) => boolean): Promise<Segment | undefined> {
    for (const deadline = Date.now() + ANSWER_MS; ; await delay(POLL_MS)) {
      const { segments } = this;
      while (this.#read < segments.length) {
        const segment = segments[this.#read++]!;
        if (wanted(segment)) return segment;
      }
      if (Date.now() > deadline) return undefined;
    }
  }

  #segment(flags: readonly TcpFlag[], data = ''): (macs: { src: string; dst: string }) => Uint8Array {
    this.#value += 1;
    const options =
      this.#echo === undefined
        ? new Uint8Array(0)
        : concat(tcpOption.nop(2), tcpOption.timestamps(this.#value, this.#echo));
    const sequence = (this.#isn + 1 + this.#sent) >>> 0;
    this.#sent += data.length;
    return this.#frame(flags, { options, sequence, data });
  }

  #frame(
    flags: readonly TcpFlag[],
    { options, sequence, data = '' }: { options: Uint8Array; sequence: number; data?: string },
  ): (macs: { src: string; dst: string }) => Uint8Array {
    const { family, port } = this;
    const addresses = { src: ADDRESSES[family], dst: VIPS[family] };
    const ip = family === 4 ? ipv4({ ...addresses, df: true }) : ipv6(addresses);
    const acknowledgment = flags.includes('ack') ? this.#next : 0;
    const header = tcp({ sport: port, dport: PORT, flags, sequence, acknowledgment, options });
    const layers = data === '' ? [] : [payload(data)];
    return (macs) => frame(macs, ip, header, ...layers);
  }
}
