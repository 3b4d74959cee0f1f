/**
 * A router's forwarding table as it changes: `ip monitor` tells of each new row and of each neighbour in the moment in which the
 * kernel does, so nothing is polled, and its times are good to a millisecond or two.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../command.js';
import type { LabProcess } from '../process.js';
import type { Resources } from '../resources.js';
import { HOST_LINK, type Host } from '../topology.js';

/** A row after a change. */
export interface FibRow {
  /** Milliseconds of the system's clock. */
  readonly atMs: number;
  /** A prefix, or an address without length; of a neighbour its address. */
  readonly destination: string;
  /** Addresses of all next hops, sorted; of a neighbour its MAC address; none when the row is gone. */
  readonly hops: readonly string[];
}

const STARTED_MS = 5_000;
const POLL_INTERVAL_MS = 50;
const START = /^\[(\S+)\] \[(ROUTE|NEIGH)\](.*)$/;
/** What a row begins with that leads to no next hop. */
const KINDS = ['local', 'broadcast', 'multicast', 'anycast', 'blackhole', 'unreachable', 'prohibit', 'throw'];
/** A row that is there for a moment only, to see whether changes are told. */
const MARK = ['unreachable', '198.51.100.255', 'table', '250'];

/** Puts the lines of `ip -ts monitor label route neigh` together: a row with several next hops has a line for each. */
export class FibParser {
  readonly rows: FibRow[] = [];
  #text = '';
  #atMs = 0;

  take(line: string): void {
    const start = START.exec(line);
    if (start !== null) {
      this.#atMs = timeOf(start[1]!);
      this.#text = `${start[2]} ${start[3]}`;
    } else if (/^\s+nexthop /.test(line)) {
      this.#text += ` ${line.trim()}`;
      this.rows.pop(); // the same row, with a next hop more
    } else return;
    this.rows.push({ atMs: this.#atMs, ...rowOf(this.#text) });
  }
}

function rowOf(text: string): Omit<FibRow, 'atMs'> {
  const [label, ...words] = text.split(/\s+/);
  const deleted = words[0] === 'Deleted';
  if (deleted) words.shift();
  if (KINDS.includes(words[0]!)) words.shift();
  const after = label === 'ROUTE' ? 'via' : 'lladdr';
  const hops = deleted ? [] : words.filter((_, i) => words[i - 1] === after);
  return { destination: words[0]!, hops: hops.sort() };
}

/** `2026-11-29T22:29:52.180967`, by the local time. */
function timeOf(text: string): number {
  const [seconds = '', fraction = ''] = text.split('.');
  return new Date(seconds).getTime() + Number(`0.${fraction}`) * 1_000;
}

export class FibWatch {
  readonly #process: LabProcess;
  readonly #parser = new FibParser();

  private constructor(process: LabProcess) {
    this.#process = process;
    process.onLine((line) => this.#parser.take(line));
  }

  /** Of the router in this namespace. Resolves when it watches. */
  static async start(resources: Resources, namespace: string): Promise<FibWatch> {
    const argv = ['ip', '-ts', 'monitor', 'label', 'route', 'neigh'];
    const process = await resources.startProcess('ip monitor', namespace, argv);
    const watch = new FibWatch(process);
    const seen = process.waitForLine((line) => line.includes(MARK.join(' ')), 'row', STARTED_MS);
    seen.catch(() => {}); // it is awaited below
    let told = false;
    seen.then(
      () => (told = true),
      () => (told = true),
    );
    while (!told) {
      await run(['ip', '-n', namespace, 'route', 'replace', ...MARK]);
      await run(['ip', '-n', namespace, 'route', 'del', ...MARK]);
      await delay(POLL_INTERVAL_MS);
    }
    await seen;
    return watch;
  }

  /** In the order in which they came. */
  get rows(): readonly FibRow[] {
    return this.#parser.rows;
  }

  /** The next hops to a destination at the latest; none before any change. */
  hops(destination: string): readonly string[] {
    return this.rows.findLast((row) => row.destination === destination)?.hops ?? [];
  }

  /** Waits until the rows are as `wanted`. */
  async until(what: string, wanted: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!wanted()) {
      if (!this.#process.running) throw new Error(`${this.#process.name} has ended\n${this.#process.tail()}`);
      if (Date.now() > deadline) throw new Error(`the router's table is not ${what} within ${timeoutMs} ms`);
      await delay(POLL_INTERVAL_MS);
    }
  }
}

/** What each address of a machine's link, and its MAC address, is of. */
export async function hopNames(machines: readonly Host[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const { name, namespace } of machines) {
    const shown = await run(['ip', '-j', '-n', namespace, 'addr', 'show', 'dev', HOST_LINK]);
    const [{ address, addr_info: addresses }] = JSON.parse(shown);
    for (const hop of [address, ...addresses.map(({ local }: { local: string }) => local)])
      names.set(hop, name);
  }
  return names;
}
