/**
 * Which VIPs this host has: the agent's program drops packets for the others, because a kernel that forwards would send them back
 * to a forwarder, in a circle. The answer is the kernel's own route lookup, and it is followed: an address or a local route that
 * comes or goes is in force some 0.1 s later. An agent that is killed leaves the last answer behind.
 *
 *   ip monitor: something changed --> look up every VIP --> what differs: the map `here`, the log
 *                                            ^
 *   every 30 s, in case word was lost -------+
 */
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import type { BpfObject } from '../ffi/bpf.js';
import type { IpAddress } from '../packet/address.js';
import { localAmong } from '../underlay/local.js';
import { type Monitor, startMonitor } from '../underlay/monitor.js';
import { ReadQueue } from '../underlay/read-queue.js';
import { type MapEntry, u32 } from './tables.js';

const FULL_READ_MS = 30_000;
/** In a log line. */
const VIPS_NAMED = 8;

export class LocalVips {
  readonly #program: Pick<BpfObject, 'fill'>;
  readonly #vips: readonly IpAddress[];
  readonly #log: Logger;
  /** Those that the log is told of. */
  readonly #told: ReadonlySet<string>;
  readonly #reads: ReadQueue;
  #local: ReadonlySet<string> | undefined;
  #complaint: string | undefined;
  #monitor: Monitor | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(
    program: Pick<BpfObject, 'fill'>,
    vips: readonly IpAddress[],
    log: Logger,
    told: readonly IpAddress[],
  ) {
    this.#program = program;
    this.#vips = vips;
    this.#log = log;
    this.#told = new Set(told.map(({ text }) => text));
    this.#reads = new ReadQueue(
      () => this.#read(),
      (error) => this.#said(error instanceof Error ? error.message : String(error)),
    );
  }

  /**
   * Fills the program's map `here` and keeps it up to date. Resolves once every VIP was looked up.
   * @param vips in the order of their numbers (`vipsOf`)
   * @param told those that the log is told of: others may leave this host, since the config has left them
   * @throws AnyhopError ERR_TOOL when the kernel cannot be asked; ERR_BPF when the map takes no entry
   */
  static async start(
    program: Pick<BpfObject, 'fill'>,
    vips: readonly IpAddress[],
    log: Logger,
    told: readonly IpAddress[],
  ): Promise<LocalVips> {
    const made = new LocalVips(program, vips, log, told);
    try {
      made.#follow();
      await made.#reads.now('anything');
      return made;
    } catch (error) {
      await made.close();
      throw error;
    }
  }

  #follow(): void {
    this.#monitor = startMonitor({
      changed: (what) => {
        if (what === 'anything') this.#reads.later(what);
      },
      lost: (why) => {
        const message = `ip monitor: ${why}; it is started again, and every VIP is looked up again`;
        this.#log.warn({ event: 'monitor_lost', why }, message);
      },
    });
    this.#timer = setInterval(() => this.#reads.later('anything'), FULL_READ_MS).unref();
  }

  async #read(): Promise<void> {
    const local = await localAmong(this.#vips);
    const before = this.#local;
    const differs = ({ text }: IpAddress): boolean => before?.has(text) !== local.has(text);
    this.#program.fill(
      'here',
      this.#vips.flatMap((vip, number) => (differs(vip) ? [hereEntry(number, local.has(vip.text))] : [])),
    );
    this.#local = local;
    this.#said(undefined);
    // What is missing at the start is a finding of the environment check.
    if (before === undefined) return;
    const changed = this.#vips.filter(differs).map(({ text }) => text);
    this.#tell(changed.filter((vip) => this.#told.has(vip)));
  }

  #tell(changed: readonly string[]): void {
    const come = changed.filter((vip) => this.#local!.has(vip));
    const gone = changed.filter((vip) => !this.#local!.has(vip));
    if (come.length > 0) {
      this.#log.info(
        { event: 'vips_here', vips: come },
        `on this host now: VIP ${listed(come, { most: VIPS_NAMED })}`,
      );
    }
    if (gone.length > 0) {
      this.#log.warn(
        { event: 'vips_gone', vips: gone, hint: 'ip addr add VIP dev lo, or agent.vip_elsewhere: true' },
        `no longer on this host: VIP ${listed(gone, { most: VIPS_NAMED })}; packets for it are dropped (drop_vip_not_local)`,
      );
    }
  }

  /** Those that this host does not have, as text, in the order of their numbers. */
  missing(): string[] {
    return this.#vips.flatMap(({ text }) => (this.#local?.has(text) === false ? [text] : []));
  }

  /** A failed look-up is tried again with the next change; each new reason is logged. */
  #said(why: string | undefined): void {
    if (why !== undefined && why !== this.#complaint) {
      this.#log.warn(
        { event: 'vips_unknown', why },
        `VIPs cannot be looked up, so the last answer holds: ${why}`,
      );
    }
    this.#complaint = why;
  }

  /** Follows no longer; the program keeps what it has. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#monitor?.close();
    await this.#reads.close();
  }
}

/** What lets packets for every one of `count` VIPs through, wherever it is. */
export function allHere(count: number): MapEntry[] {
  return Array.from({ length: count }, (_, number) => hereEntry(number, true));
}

function hereEntry(number: number, isHere: boolean): MapEntry {
  return [u32(number), u32(isHere ? 1 : 0)];
}
