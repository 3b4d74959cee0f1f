/**
 * Packet captures with tcpdump, decoded by tcpdump itself.
 *
 * Capture at the router's end of a link: a native XDP program takes packets before tcpdump sees them, so that GRE
 * for a backend with an agent never shows on the backend's own end.
 */
import { join } from 'node:path';
import { run } from './command.js';
import type { LabProcess } from './process.js';
import type { Resources } from './resources.js';

const READY_TIMEOUT_MS = 10_000;
let captures = 0;

export class Capture {
  readonly #tcpdump: LabProcess;
  readonly #file: string;

  private constructor(tcpdump: LabProcess, file: string) {
    this.#tcpdump = tcpdump;
    this.#file = file;
  }

  /** Captures what passes `link` in `namespace`, in both directions; resolves once packets are being taken. */
  static async start(resources: Resources, namespace: string, link: string): Promise<Capture> {
    captures += 1;
    const file = join(resources.directory, `capture-${captures}.pcap`);
    // As root it would change to a user that may not write here.
    const argv = ['tcpdump', '-i', link, '-n', '-U', '-s', '0', '-B', '16384', '-Z', 'root', '-w', file];
    const tcpdump = await resources.startProcess(`tcpdump ${link}`, namespace, argv);
    await tcpdump.waitForLine((line) => line.includes('listening on'), 'capture', READY_TIMEOUT_MS);
    return new Capture(tcpdump, file);
  }

  /** Ends the capture. Rejects when packets were lost: an absence would prove nothing. */
  async stop(): Promise<void> {
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
