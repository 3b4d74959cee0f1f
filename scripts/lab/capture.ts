/**
 * Packet captures with tcpdump, decoded by tcpdump itself.
 *
 * Capture at the router's end of a link: a native XDP program takes packets before tcpdump sees them, so that GRE
 * for a backend with an agent never shows on the backend's own end.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inNamespace, run } from './command.js';
import type { LabProcess } from './process.js';
import type { Resources } from './resources.js';
import type { Host } from './topology.js';

const READY_TIMEOUT_MS = 10_000;
const FLUSH_TIMEOUT_MS = 5_000;
const POLL_INTERVAL_MS = 20;
/** Payload of the echo request that marks the end of a capture, in bytes; nothing else in the lab has this length. */
const MARKER_BYTES = 1_111;
const MARKER_FILTER = `icmp[0] == 8 and ip[2:2] == ${MARKER_BYTES + 28}`;

let captures = 0;

export class Capture {
  readonly #tcpdump: LabProcess;
  readonly #file: string;

  /** Sends the marker over the captured link. */
  readonly #mark: readonly string[];

  private constructor(tcpdump: LabProcess, file: string, mark: readonly string[]) {
    this.#tcpdump = tcpdump;
    this.#file = file;
    this.#mark = mark;
  }

  /** Captures what passes the router's port to `host`, in both directions; resolves once packets are being taken. */
  static async start(resources: Resources, router: string, host: Host): Promise<Capture> {
    captures += 1;
    const file = join(resources.directory, `capture-${captures}.pcap`);
    // As root it would change to a user that may not write here.
    const options = ['-n', '-U', '--immediate-mode', '-s', '0', '-B', '16384', '-Z', 'root'];
    const argv = ['tcpdump', '-i', host.name, ...options, '-w', file];
    const tcpdump = await resources.startProcess(`tcpdump ${host.name}`, router, argv);
    await tcpdump.waitForLine((line) => line.includes('listening on'), 'capture', READY_TIMEOUT_MS);
    const ping = ['ping', '-n', '-c', '1', '-W', '1', '-s', String(MARKER_BYTES), host.host4];
    return new Capture(tcpdump, file, inNamespace(router, ping));
  }

  /**
   * Ends the capture when all packets before this call are in it: tcpdump forgets what it has not read yet when it is
   * told to end. Rejects when packets were lost, since an absence would prove nothing.
   */
  async stop(): Promise<void> {
    await run(this.#mark);
    const deadline = Date.now() + FLUSH_TIMEOUT_MS;
    while ((await this.decode(MARKER_FILTER)).length === 0) {
      if (Date.now() > deadline) throw new Error(`${this.#tcpdump.name}: does not catch up`);
      await delay(POLL_INTERVAL_MS);
    }
    await this.#tcpdump.stop('SIGINT');
    const lost = this.#tcpdump.lines.find((line) => /^[1-9]\d* packets dropped/.test(line));
    if (lost !== undefined) throw new Error(`${this.#tcpdump.name}: ${lost}`);
  }

  /** The packets that match a pcap filter, each as tcpdump describes it at length (`-vv`), on one line. */
  async decode(filter = ''): Promise<string[]> {
    const argv = ['tcpdump', '-nn', '-vv', '-t', '-r', this.#file, ...(filter === '' ? [] : [filter])];
    const text = await run(argv);
    return text
      .replaceAll(/\n[\t ]+/g, ' ')
      .split('\n')
      .filter(Boolean);
  }
}
