/**
 * What is announced: a pure function of what is known of the node and of the kernel, and of what was announced before.
 *
 *   the node serves        each VIP goes by its services: ready for announce.rise -> announced; not ready -> withdrawn at once
 *   it stops with a delay  draining until then, then withdrawn
 *   it is gone             an orphan: the kernel forwards on (engine xdp), so rows stay while what it forwards by is still true, for
 *                          announce.orphan_time at most; nothing is newly announced
 *   it starts              as when it is gone, since the former program forwards until the new process has taken over
 *
 * Every doubt ends in `withdrawn`: another forwarder can take any packet, so a missing route costs nothing, and a wrong one every packet.
 */
import type { FollowedVip } from '../api/follow.js';
import { FOLLOW_SILENCE_MS, ORPHAN_FACTS_MS, PROGRAM_CHANGE_MS, PROGRAM_STRANGE_MS } from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import { Deadlines } from './deadlines.js';
import { type Forwarding, type Knowledge, orphanSince } from './knowledge.js';
import { hopText, type KernelFacts } from './orphan-facts.js';
import type { Announcement, Heard } from './status.js';

/** What the config says. */
export interface Rules {
  /** In canonical text. */
  readonly vips: readonly string[];
  readonly orphanMs: number;
  readonly riseMs: number;
  readonly withdrawWhen: 'never' | 'pool_down';
}

/** What is announced of one VIP. */
export interface Mark {
  readonly state: Announcement;
  readonly reason: string;
  readonly sinceMs: number;
  /** Since when it has been ready without a break; absent when it is not. */
  readonly readyMs?: number;
  /** Withdrawn from an orphan: the reason stays until more is heard. */
  readonly isDoubted?: true;
}

export type Marks = ReadonlyMap<string, Mark>;

export interface Decision {
  readonly marks: Marks;
  readonly heard: Heard;
  /** When to decide again if nothing happens before, the silence of the node aside (`nextMs`); absent when time alone changes nothing. */
  readonly againMs?: number;
}

type Wanted = Omit<Mark, 'sinceMs'>;

/** @param before of the VIPs that have a row; others are withdrawn */
export function decide(
  rules: Rules,
  known: Knowledge,
  kernel: KernelFacts | undefined,
  before: Marks,
  nowMs: number,
): Decision {
  const deadlines = new Deadlines(nowMs);
  const heard = heardNow(known, nowMs);
  const judge = new Judge(rules, known, kernel, heard, deadlines);
  const marks = new Map(
    rules.vips.map((vip) => {
      const was = before.get(vip);
      const wanted = judge.want(vip, was);
      const sinceMs = was?.state === wanted.state ? was.sinceMs : nowMs;
      return [vip, { ...wanted, sinceMs }];
    }),
  );
  const againMs = deadlines.next();
  return { marks, heard, ...(againMs !== undefined && { againMs }) };
}

/** What is heard from the node: a stream that says nothing is as good as none. */
function heardNow(known: Knowledge, nowMs: number): Heard {
  if (known.gone !== undefined) return 'gone';
  return silentFromMs(known) <= nowMs ? 'silent' : (known.line?.phase ?? 'asked');
}

function silentFromMs({ heardMs, askedMs }: Knowledge): number {
  return (heardMs ?? askedMs) + FOLLOW_SILENCE_MS;
}

/**
 * When to decide again if nothing happens before; undefined when time alone changes nothing. To be asked anew at that time: a line that says
 * nothing new moves it, and that is no reason to decide.
 */
export function nextMs(known: Knowledge, { heard, againMs }: Decision): number | undefined {
  if (heard === 'gone' || heard === 'silent') return againMs;
  return Math.min(silentFromMs(known), againMs ?? Number.POSITIVE_INFINITY);
}

/** Whether the kernel has to be asked what becomes of its forwarding: while no process that serves is heard. */
export function needsKernel({ heard }: Pick<Decision, 'heard'>): boolean {
  return heard !== 'serving' && heard !== 'asked';
}

class Judge {
  readonly #rules: Rules;
  readonly #known: Knowledge;
  readonly #kernel: KernelFacts | undefined;
  readonly #heard: Heard;
  readonly #deadlines: Deadlines;
  /** Of the line, by VIP. */
  #services: ReadonlyMap<string, FollowedVip['services']> | undefined;
  #doubt: { readonly found: string | undefined } | undefined;

  constructor(
    rules: Rules,
    known: Knowledge,
    kernel: KernelFacts | undefined,
    heard: Heard,
    deadlines: Deadlines,
  ) {
    this.#rules = rules;
    this.#known = known;
    this.#kernel = kernel;
    this.#heard = heard;
    this.#deadlines = deadlines;
  }

  want(vip: string, was: Mark | undefined): Wanted {
    const { hold, stop } = this.#known;
    if (hold?.by === 'withdraw')
      return withdrawn('held back by "anyhop announce --withdraw", until "anyhop announce --resume"');
    if (hold?.by === 'stop') return withdrawn('held back by "anyhop stop", until the node serves again');
    if (this.#heard === 'serving') return this.#served(vip, was);
    if (was?.isDoubted && this.#heard !== 'stopping') return was;
    if (was === undefined || was.state === 'withdrawn') return withdrawn(this.#absence());
    if (was.state === 'draining' && stop !== undefined && this.#deadlines.passed(stop.untilMs))
      return doubted('node.stop_delay is over');
    if (this.#heard === 'asked')
      return { state: was.state, reason: 'found; the node has not said anything yet' };
    return this.#heard === 'stopping' ? this.#stopping(vip, was) : this.#orphan(vip, was);
  }

  #served(vip: string, was: Mark | undefined): Wanted {
    const { reasons, vips, pools } = this.#known.line!;
    this.#services ??= new Map(vips.map((each) => [each.vip, each.services]));
    if (reasons.length > 0) return withdrawn(reasons.join('; '));
    const services = this.#services.get(vip) ?? [];
    if (services.length === 0) return withdrawn('the node has no service on it');
    if (!services.some(({ ready }) => ready)) {
      const [{ reason = 'not ready' }] = services as [(typeof services)[number]];
      return withdrawn(
        services.length === 1 ? reason : `none of its ${services.length} services is ready: ${reason}`,
      );
    }
    const isDown = services.every(({ pool }) => (pools[pool]?.up ?? 0) === 0);
    if (this.#rules.withdrawWhen === 'pool_down' && isDown)
      return withdrawn('no backend of its services is up (announce.withdraw_when: pool_down)');
    const { nowMs } = this.#deadlines;
    const readyMs = was?.readyMs ?? nowMs;
    if (was?.state === 'announced' || this.#deadlines.passed(readyMs + this.#rules.riseMs))
      return { state: 'announced', reason: 'ready', readyMs };
    const reason = `ready, for less than ${formatDuration(this.#rules.riseMs)} (announce.rise)`;
    // One that drained may stay at the second choice until it has been ready for long enough.
    return { state: was?.state ?? 'withdrawn', reason, readyMs };
  }

  /** Of a process that lives: it follows next hops itself, and says where it sends. */
  #stopping(vip: string, was: Mark): Wanted {
    const { line, stop, forwarding } = this.#known;
    if (stop === undefined || this.#deadlines.passed(stop.untilMs)) {
      return stop?.forwardsOn
        ? this.#orphan(vip, was)
        : withdrawn(`the node stops (${line?.stop?.why ?? 'asked to'})`);
    }
    const doubt =
      this.#linkFault() ??
      (forwarding && hopsOf(forwarding, vip).length === 0 ? 'no backend can be reached' : undefined);
    return doubt === undefined
      ? { state: 'draining', reason: 'the node stops (node.stop_delay)' }
      : withdrawn(doubt);
  }

  #orphan(vip: string, was: Mark): Wanted {
    this.#doubt ??= { found: this.#orphanDoubt() };
    const doubt = this.#doubt.found ?? this.#hopDoubt(vip);
    if (doubt !== undefined) return doubted(doubt);
    const how = this.#heard === 'starting' ? 'while the node starts' : 'without a process';
    return { state: was.state, reason: `the kernel forwards on ${how}` };
  }

  /** Why an orphan must not be announced, whatever the VIP. */
  #orphanDoubt(): string | undefined {
    const { forwarding, line } = this.#known;
    const endMs = orphanSince(this.#known) + this.#rules.orphanMs;
    if (forwarding === undefined)
      return `nothing is known of a node that forwarded, and ${ABSENCE[this.#heard]}`;
    const { name, program } = forwarding.engine;
    if (program === undefined)
      return `${ABSENCE[this.#heard]}, and the engine ${name} forwards nothing without it`;
    if (this.#heard === 'left' && line?.stop?.forwardsOn === false) return 'the node has ended forwarding';
    if (this.#deadlines.passed(endMs))
      return `no process for ${formatDuration(this.#rules.orphanMs)} (announce.orphan_time)`;
    return this.#programFault(program) ?? this.#linkFault() ?? this.#unknownFault();
  }

  #programFault(expected: number): string | undefined {
    const found = this.#kernel?.program;
    if (found === undefined || found.id === expected) return undefined;
    if (found.id === undefined) return `the XDP program ${expected} is gone from the interface`;
    // A process that starts puts its own program in place before it says so, and maybe before it was heard at all.
    const changeMs = this.#heard === 'starting' ? PROGRAM_CHANGE_MS : PROGRAM_STRANGE_MS;
    if (!this.#deadlines.passed(found.sinceMs + changeMs)) return undefined;
    return `another XDP program (${found.id}) has taken the place of ${expected}`;
  }

  #linkFault(): string | undefined {
    return this.#kernel?.link?.fault;
  }

  /** The kernel does not tell, for too long. */
  #unknownFault(): string | undefined {
    const { program, link, hops, sinceMs } = this.#kernel ?? { sinceMs: this.#deadlines.nowMs };
    if (program !== undefined && link !== undefined && hops !== undefined) return undefined;
    if (!this.#deadlines.passed(sinceMs + ORPHAN_FACTS_MS)) return undefined;
    return `the kernel could not be asked for ${formatDuration(ORPHAN_FACTS_MS)} whether it still forwards`;
  }

  /** A dead process follows no next hop: what it sends to must be what the kernel has now, for one backend at least. */
  #hopDoubt(vip: string): string | undefined {
    const hops = hopsOf(this.#known.forwarding!, vip);
    if (hops.length === 0) return 'no backend could be reached when the node was last heard';
    const now = this.#kernel?.hops;
    if (now === undefined) return undefined; // see #unknownFault
    const holds = hops.some(({ address, interface: { index }, mac, vlan }) => {
      const found = now.get(address);
      return found === undefined || found === hopText(index, mac, vlan);
    });
    return holds ? undefined : 'the next hop of every backend has changed since the node was last heard';
  }

  #absence(): string {
    const { gone } = this.#known;
    return this.#heard === 'gone' && gone ? `${ABSENCE.gone}: ${gone.why}` : ABSENCE[this.#heard];
  }
}

const ABSENCE: Readonly<Record<Heard, string>> = {
  asked: 'the node has not said anything yet',
  starting: 'the node starts',
  serving: 'the node serves',
  stopping: 'the node stops',
  left: 'the node has ended',
  silent: `the node has said nothing for ${formatDuration(FOLLOW_SILENCE_MS)}`,
  gone: 'the node cannot be asked',
};

function withdrawn(reason: string): Wanted {
  return { state: 'withdrawn', reason };
}

function doubted(reason: string): Wanted {
  return { ...withdrawn(reason), isDoubted: true };
}

function hopsOf({ vips, hops }: Forwarding, vip: string): Forwarding['hops'][string] {
  return (vips[vip] ?? []).flatMap((pool) => hops[pool] ?? []);
}
