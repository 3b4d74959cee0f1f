/**
 * A node, its kernel and its links, as they truly are, and an announcer that sees of them what it would: the model of the property test of
 * src/announce/decide.ts. Time goes in steps of 100 ms. The model shares no code with what it judges, but for the types.
 */
import {
  type Decision,
  decide,
  type Marks,
  needsKernel,
  nextMs,
  type Rules,
} from '#anyhop/announce/decide.js';
import { begin, hear, holdBack, type Knowledge, loseNode, resume } from '#anyhop/announce/knowledge.js';
import { hopText, type KernelFacts } from '#anyhop/announce/orphan-facts.js';
import type { FollowLine } from '#anyhop/api/follow.js';

export const STEP_MS = 100;
const LINE_MS = 1000;
/** What `ip monitor` and reading the kernel's tables take at most, and how often the program is looked at. */
const KERNEL_READ_MS = 300;
const LOOK_MS = 1000;
const WALL_MS = Date.parse('2026-01-01T00:00:00Z');
const INDEX = 7;
/** Two VIPs, each with a pool of its own, and one with both pools. */
const POOLS: Readonly<Record<string, readonly string[]>> = {
  '192.0.2.1': ['a'],
  '192.0.2.2': ['b'],
  '192.0.2.3': ['a', 'b'],
};
export const VIPS = Object.keys(POOLS);
type Pool = 'a' | 'b';
const ADDRESS: Readonly<Record<Pool, string>> = { a: '10.0.0.1', b: '10.0.0.2' };

export type Event =
  | { readonly what: 'start'; readonly engine: 'xdp' | 'portable' }
  | {
      readonly what:
        | 'serve'
        | 'kill'
        | 'hang'
        | 'wake'
        | 'detach'
        | 'strange'
        | 'restart'
        | 'withdraw'
        | 'resume';
    }
  | { readonly what: 'stop'; readonly delayMs: number; readonly forwardsOn: boolean }
  | { readonly what: 'link'; readonly isUp: boolean }
  /** A gateway has another MAC address, or is gone (0). */
  | { readonly what: 'hop'; readonly pool: Pool; readonly mac: number }
  | { readonly what: 'health'; readonly pool: Pool; readonly up: number }
  | { readonly what: 'wait'; readonly steps: number };

interface Process {
  readonly engine: 'xdp' | 'portable';
  readonly number: number;
  phase: 'starting' | 'serving' | 'stopping' | 'left';
  isHung: boolean;
  stop?: { until: string; forwardsOn: boolean; endMs: number };
  lines: number;
}

export interface Trouble {
  readonly atMs: number;
  readonly what: string;
}

export class Model {
  readonly #rules: Rules;
  readonly #more: number;
  readonly #real: Record<Pool, number> = { a: 1, b: 1 };
  /** What the image of the program or of the process sends to. */
  readonly #image: Record<Pool, number> = { a: 0, b: 0 };
  readonly #up: Record<Pool, number> = { a: 1, b: 1 };
  #nowMs = 1000;
  #isLinkUp = true;
  #program = 0;
  /** Since when there is none. */
  #goneMs: number | undefined;
  #isStrange = false;
  #programs = 0;
  #processes = 0;
  #process: Process | undefined;
  /** Of the announcer. */
  #known: Knowledge;
  #decision: Decision;
  #startedMs = 0;
  #lastLineMs = -LINE_MS;
  #isConnected = false;
  #watchMs: number | undefined;
  #seen: KernelFacts | undefined;
  readonly #dropsSince = new Map<string, number>();
  readonly #leftMs = new Map<string, number>();
  /** Since when a process served last: nothing else makes an orphan young. */
  #servedMs = -Infinity;
  /** When a node that stops has said that it forwards no more. */
  #drainEndMs = Infinity;
  /** The last process has said that nothing forwards on. */
  #isEnded = false;
  /** Until then nothing could be known. */
  #unhungMs = 0;
  readonly troubles: Trouble[] = [];

  /** @param more backends that are up all the time in each pool */
  constructor(rules: Rules, more = 0) {
    this.#rules = rules;
    this.#more = more;
    this.#known = begin(this.#nowMs);
    this.#decision = decide(rules, this.#known, undefined, new Map(), this.#nowMs);
  }

  get marks(): Marks {
    return this.#decision.marks;
  }

  apply(event: Event): void {
    this.#change(event);
    for (let i = 0; i < (event.what === 'wait' ? event.steps : 1); i++) this.step();
  }

  #change(event: Event): void {
    const process = this.#process;
    switch (event.what) {
      case 'start':
        if (process === undefined)
          this.#process = {
            engine: event.engine,
            number: ++this.#processes,
            phase: 'starting',
            isHung: false,
            lines: 0,
          };
        break;
      case 'serve':
        if (process?.phase === 'starting' && !process.isHung) {
          process.phase = 'serving';
          this.#drainEndMs = Infinity;
          this.#isEnded = false;
          if (process.engine === 'xdp' && this.#program === 0) this.#program = ++this.#programs;
        }
        break;
      case 'kill':
        if (process?.isHung) this.#unhungMs = this.#nowMs;
        this.#end();
        break;
      case 'hang':
        if (process) process.isHung = true;
        break;
      case 'wake':
        if (process?.isHung) this.#unhungMs = this.#nowMs;
        if (process) process.isHung = false;
        break;
      case 'stop':
        if (process?.phase === 'serving' && !process.isHung) {
          const endMs = this.#nowMs + event.delayMs;
          const until = new Date(WALL_MS + endMs).toISOString();
          process.phase = 'stopping';
          process.stop = { until, endMs, forwardsOn: event.forwardsOn && process.engine === 'xdp' };
          this.#drainEndMs = endMs;
        }
        break;
      case 'detach':
        this.#program = 0;
        break;
      case 'strange':
        // Of somebody else, who does so once: it forwards nothing.
        if (this.#program === 0 || this.#isStrange) break;
        this.#program = ++this.#programs;
        this.#isStrange = true;
        break;
      case 'link':
        this.#isLinkUp = event.isUp;
        break;
      case 'hop':
        this.#real[event.pool] = event.mac;
        break;
      case 'health':
        this.#up[event.pool] = event.up;
        break;
      case 'withdraw':
        this.#learn(holdBack(this.#known, 'withdraw', this.#nowMs));
        break;
      case 'resume':
        this.#learn(resume(this.#known));
        break;
      case 'restart':
        this.#restart();
        break;
    }
  }

  step(): void {
    this.#nowMs += STEP_MS;
    this.#live();
    this.#goneMs = this.#program === 0 ? (this.#goneMs ?? this.#nowMs) : undefined;
    this.#talk();
    this.#watch();
    if (this.#nowMs >= (nextMs(this.#known, this.#decision) ?? Infinity)) this.#decide();
    this.#judge();
  }

  /** A process that runs follows next hops, keeps its program in place, and ends when it said so. */
  #live(): void {
    const process = this.#process;
    if (process === undefined || process.isHung || process.phase === 'starting') return;
    for (const pool of ['a', 'b'] as const) this.#image[pool] = this.#real[pool];
    if (process.engine === 'xdp' && (this.#program === 0 || this.#isStrange))
      this.#program = ++this.#programs;
    this.#isStrange = false;
    if (process.stop !== undefined && this.#nowMs >= process.stop.endMs) {
      process.phase = 'left';
      if (!process.stop.forwardsOn) this.#program = 0;
      this.#isEnded = !process.stop.forwardsOn;
      this.#say(process);
      this.#end();
    }
  }

  #end(): void {
    this.#process = undefined;
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#learn(loseNode(this.#known, 'the stream ended', this.#nowMs));
  }

  /** A stream is open whenever there is a process: reconnecting takes one step. */
  #talk(): void {
    const process = this.#process;
    if (process === undefined) {
      if (this.#decision.heard === 'asked') this.#learn(loseNode(this.#known, 'no socket', this.#nowMs));
      return;
    }
    if (process.isHung) {
      // The kernel accepts the connection; nobody answers.
      return;
    }
    const text = JSON.stringify(this.#line(process));
    if (text === this.#lastText && this.#nowMs - this.#lastLineMs < LINE_MS && this.#isConnected) return;
    this.#say(process);
  }

  #lastText = '';

  #say(process: Process): void {
    this.#isConnected = true;
    this.#lastLineMs = this.#nowMs;
    const line = this.#line(process);
    this.#lastText = JSON.stringify(line);
    if (line.phase === 'serving' || line.phase === 'stopping') this.#servedMs = this.#nowMs;
    this.#learn(hear(this.#known, line, this.#nowMs, WALL_MS + this.#nowMs));
  }

  #line({ engine, number, phase, stop }: Process): FollowLine {
    const reasons = [
      ...(phase === 'serving' ? [] : [`it is ${phase}`]),
      ...(this.#isLinkUp ? [] : ['the link is down']),
    ];
    const ready = (pool: string): boolean => reasons.length === 0 && this.#image[pool as Pool] !== 0;
    const hop = (pool: Pool) => ({
      address: ADDRESS[pool],
      interface: { name: 'eth0', index: INDEX },
      mac: macOf(this.#image[pool]),
    });
    return {
      node: 'edge-1',
      version: '1',
      pid: number,
      startedAt: '2026-01-01T00:00:00Z',
      line: 1,
      phase,
      reasons,
      ...(stop && { stop: { why: 'SIGTERM', until: stop.until, forwardsOn: stop.forwardsOn } }),
      ...(phase !== 'starting' && {
        engine: {
          name: engine,
          interface: { name: 'eth0', index: INDEX },
          ...(engine === 'xdp' && { program: this.#program }),
        },
      }),
      vips: VIPS.map((vip) => ({
        vip,
        services: POOLS[vip]!.map((pool) => ({ name: `${vip}-${pool}`, pool, ready: ready(pool) })),
      })),
      pools: Object.fromEntries(
        (['a', 'b'] as const).map((pool) => [
          pool,
          { up: this.#up[pool] + this.#more, total: 9, hops: this.#image[pool] === 0 ? [] : [hop(pool)] },
        ]),
      ),
    };
  }

  /** The kernel is asked while it has to be; what it says is this old. */
  #watch(): void {
    const isNeeded =
      needsKernel(this.#decision) &&
      this.#known.forwarding !== undefined &&
      [...this.marks.values()].some(({ state }) => state !== 'withdrawn');
    if (!isNeeded) {
      this.#watchMs = undefined;
      this.#seen = undefined;
      return;
    }
    this.#watchMs ??= this.#nowMs;
    const age = this.#nowMs - this.#watchMs;
    const before = this.#seen;
    if (age % LOOK_MS === 0 && before?.program?.id !== (this.#program || undefined))
      this.#see({ program: { sinceMs: this.#nowMs, ...(this.#program !== 0 && { id: this.#program }) } });
    if (this.#seen?.program === undefined)
      this.#see({ program: { sinceMs: this.#nowMs, ...(this.#program !== 0 && { id: this.#program }) } });
    if (age > 0 && age % KERNEL_READ_MS === 0) {
      const hops = new Map(
        (['a', 'b'] as const).map((pool) => [
          ADDRESS[pool],
          this.#real[pool] === 0 ? '' : hopText(INDEX, macOf(this.#real[pool]), undefined),
        ]),
      );
      this.#see({ hops, link: this.#isLinkUp ? {} : { fault: 'the link is down' } });
    }
  }

  #see(part: Partial<KernelFacts>): void {
    this.#seen = { sinceMs: this.#watchMs!, ...this.#seen, ...part };
    this.#decide();
  }

  /** The announcer is killed, and the next one has the rows and what was kept. */
  #restart(): void {
    const rows = new Map(
      [...this.marks]
        .filter(([, { state }]) => state !== 'withdrawn')
        .map(([vip, { state }]) => [vip, { state, reason: 'found', sinceMs: this.#nowMs }]),
    );
    const kept = JSON.parse(JSON.stringify(this.#known)) as Knowledge;
    this.#known = begin(this.#nowMs, kept);
    this.#isConnected = false;
    this.#lastText = '';
    this.#startedMs = this.#nowMs;
    this.#watchMs = undefined;
    this.#seen = undefined;
    this.#decision = { marks: rows, heard: 'asked' };
    this.#decide();
  }

  #learn(known: Knowledge): void {
    this.#known = known;
    this.#decide();
  }

  #decide(): void {
    const before = this.#decision;
    this.#decision = decide(this.#rules, this.#known, this.#seen, before.marks, this.#nowMs);
    for (const vip of VIPS) {
      const was = before.marks.get(vip)?.state ?? 'withdrawn';
      const is = this.marks.get(vip)!.state;
      if (was === is) continue;
      if (is === 'announced') this.#judgeAnnounced(vip, was);
      if (was === 'announced') this.#leftMs.set(vip, this.#nowMs);
      if (is === 'withdrawn') this.#judgeWithdrawn(vip);
    }
  }

  #judgeAnnounced(vip: string, was: string): void {
    if (this.#decision.heard !== 'serving')
      this.#trouble(`${vip}: announced from ${was} while no process serves`);
    if (this.#nowMs - (this.#leftMs.get(vip) ?? -Infinity) < this.#rules.riseMs)
      this.#trouble(`${vip}: announced again within the rise time`);
  }

  /** An orphan that forwards is not withdrawn before its time. */
  #judgeWithdrawn(vip: string): void {
    const { hold, stop } = this.#known;
    const isOrphan =
      this.#process === undefined || this.#process.isHung || this.#process.phase === 'starting';
    if (!isOrphan || this.#program === 0 || hold !== undefined || stop !== undefined) return;
    if (this.#known.forwarding?.engine.program !== this.#program) return;
    if (!this.#doesForward(vip) || this.#dropsSince.has(vip)) return;
    if (this.#nowMs - this.#servedMs >= this.#rules.orphanMs) return;
    this.#trouble(`${vip}: withdrawn although the kernel forwards: ${this.marks.get(vip)!.reason}`);
  }

  #doesForward(vip: string): boolean {
    if (!this.#isLinkUp) return false;
    const process = this.#process;
    const works = process !== undefined && !process.isHung && process.phase !== 'starting';
    if (!works && (this.#program === 0 || this.#isStrange)) return false;
    if (works && process.engine === 'xdp' && this.#program === 0) return false;
    return POOLS[vip]!.some(
      (pool) => this.#image[pool as Pool] !== 0 && this.#image[pool as Pool] === this.#real[pool as Pool],
    );
  }

  #judge(): void {
    for (const vip of VIPS) {
      const { state } = this.marks.get(vip)!;
      if (
        state === 'draining' &&
        this.#decision.heard !== 'serving' &&
        this.#nowMs > this.#drainEndMs + STEP_MS
      )
        this.#trouble(`${vip}: draining after the end of stop_delay`);
      const isHeard = this.#process && !this.#process.isHung && this.#process.phase !== 'starting';
      const orphanMs = this.#nowMs - Math.max(this.#servedMs, this.#startedMs);
      if (state !== 'withdrawn' && !isHeard && orphanMs > this.#rules.orphanMs + 3000 + STEP_MS)
        this.#trouble(`${vip}: ${state} without a process for ${orphanMs} ms`);
      if (this.#doesForward(vip)) {
        this.#dropsSince.delete(vip);
        continue;
      }
      const since = this.#dropsSince.get(vip) ?? this.#nowMs;
      this.#dropsSince.set(vip, since);
      if (state === 'withdrawn') continue;
      const forMs = this.#nowMs - Math.max(since, this.#startedMs, this.#unhungMs);
      if (forMs > this.#boundMs())
        this.#trouble(`${vip}: ${state} although its packets have been dropped for ${forMs} ms`);
    }
  }

  /** As the documentation states them. */
  #boundMs(): number {
    const process = this.#process;
    if (process?.isHung) {
      // Silence, then the kernel is asked; what goes away only then is found by the next look.
      const isLongGone = this.#nowMs - (this.#goneMs ?? this.#nowMs) > LOOK_MS && !this.#isStrange;
      return 3000 + (isLongGone ? 0 : LOOK_MS) + STEP_MS;
    }
    if (process === undefined && (this.#isEnded || this.#known.forwarding?.engine.program === undefined))
      return STEP_MS;
    return (process?.phase === 'starting' ? 3000 : 2000) + STEP_MS;
  }

  #trouble(what: string): void {
    this.troubles.push({ atMs: this.#nowMs, what });
  }
}

function macOf(number: number): string {
  return `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`;
}
