/** The status, from what was decided and what the kernel made of it. */
import type { FollowLine } from '../api/follow.js';
import type { AnnounceConfig } from '../config/announce/types.js';
import { VERSION } from '../core/version.js';
import type { Decision, Mark } from './decide.js';
import { type Knowledge, orphanSince } from './knowledge.js';
import type { LeftRow } from './row-keeper.js';
import type { AnnounceStatus, Heard, VipStatus } from './status.js';
import { trackNumber } from './track-number.js';

export interface Decided {
  readonly config: AnnounceConfig;
  readonly node: string;
  readonly networkNamespace: number;
  readonly startedAt: string;
  readonly known: Knowledge;
  readonly decision: Decision;
  /** Why a VIP has no row all the same. */
  readonly refusals: ReadonlyMap<string, string>;
  /** Rows that were to go, by VIP. */
  readonly left: ReadonlyMap<string, LeftRow>;
  readonly nowMs: number;
  readonly wallMs: number;
}

const ORPHANED: ReadonlySet<Heard> = new Set<Heard>(['starting', 'left', 'silent', 'gone']);

export function statusOf(decided: Decided): AnnounceStatus {
  const { config, node, networkNamespace, startedAt, known, decision, nowMs, wallMs } = decided;
  // Whole seconds: the two clocks drift apart by less, and the same moment has the same text each time.
  const time = (ms: number): string =>
    new Date(Math.round((wallMs - nowMs + ms) / 1000) * 1000).toISOString();
  const { hold, forwarding } = known;
  const orphanMs = ORPHANED.has(decision.heard) && isForwarding(decision) ? orphanSince(known) : undefined;
  const services = decision.heard === 'serving' ? (known.line?.vips ?? []) : [];
  const byVip = new Map(services.map((each) => [each.vip, each.services]));
  return {
    node,
    version: VERSION,
    pid: process.pid,
    startedAt,
    table: config.table,
    networkNamespace,
    ...(forwarding && { engine: { name: forwarding.engine.name, interface: forwarding.engine.interface } }),
    heard: {
      state: decision.heard,
      since: time(heardSince(known, decision)),
      reasons: heardReasons(known, decision),
    },
    ...(orphanMs !== undefined && {
      orphan: { since: time(orphanMs), until: time(orphanMs + config.orphanMs) },
    }),
    ...(hold && { held: { by: hold.by, since: time(hold.sinceMs) } }),
    ...(config.trackFile !== undefined && {
      // Whether a VIP has a row is nothing to keepalived.
      trackFile: { file: config.trackFile, number: trackNumber([...decision.marks.values()]) },
    }),
    vips: [...decision.marks].map(([vip, mark]) => vipStatus(vip, mark, byVip.get(vip) ?? [], decided, time)),
  };
}

function vipStatus(
  vip: string,
  { state, reason, sinceMs }: Mark,
  services: FollowLine['vips'][number]['services'],
  { config, refusals, left }: Decided,
  time: (ms: number) => string,
): VipStatus {
  const stuck = state === 'announced' ? undefined : left.get(vip);
  if (stuck !== undefined) {
    const why = `to be ${state} (${reason}), but ${stuck.reason}`;
    const is = stuck.metric === config.drainMetric ? 'draining' : 'announced';
    return { vip, state: is, since: time(sinceMs), reason: why, metric: stuck.metric };
  }
  const refusal = state === 'withdrawn' ? undefined : refusals.get(vip);
  const notReady = services
    .filter(({ ready }) => !ready)
    .map(({ name, reason: why = 'not ready' }) => ({ name, reason: why }));
  const metric = state === 'announced' ? config.metric : config.drainMetric;
  return {
    vip,
    state: refusal === undefined ? state : 'withdrawn',
    since: time(sinceMs),
    reason: refusal ?? reason,
    ...(state !== 'withdrawn' && refusal === undefined && { metric }),
    ...(notReady.length > 0 && { notReady }),
  };
}

function isForwarding({ marks }: Decision): boolean {
  return [...marks.values()].some(({ state }) => state !== 'withdrawn');
}

function heardSince({ askedMs, gone, heardMs, phaseMs }: Knowledge, { heard }: Decision): number {
  if (heard === 'asked') return askedMs;
  if (heard === 'gone') return gone!.sinceMs;
  if (heard === 'silent') return heardMs ?? askedMs;
  return phaseMs ?? askedMs;
}

function heardReasons({ gone, line }: Knowledge, { heard }: Decision): readonly string[] {
  const ended = line?.phase === 'left' && line.stop ? [`it has ended (${line.stop.why})`] : [];
  if (heard === 'gone') return [...ended, gone!.why];
  if (line?.stop && (heard === 'stopping' || heard === 'left')) return [line.stop.why];
  return heard === 'asked' || heard === 'silent' ? [] : (line?.reasons ?? []);
}
