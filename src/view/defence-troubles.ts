/** What somebody on call has to know of floods. */
import type { AttackKind } from '../api/defend.js';
import { lasting, short } from '../core/figures.js';
import { listed } from '../core/listed.js';
import type { AttackRow, DefenceRows, WithoutCookies } from './defence.js';
import { groupedBy, where } from './gather.js';
import type { Trouble } from './troubles.js';

const ATTACKS: Readonly<Record<AttackKind, string>> = {
  syn_flood: 'SYN flood',
  service_rate: 'more SYNs than the service may get',
  source_rate: 'sources above their limit',
  blocked: 'packets of blocked sources',
};

/** In words; a newer node may know other kinds. */
export function attackText(kind: AttackKind): string {
  return Object.hasOwn(ATTACKS, kind) ? ATTACKS[kind] : kind;
}

/** @param nodes how many there are */
export function ofDefence({ attacks, listProblems, withoutCookies }: DefenceRows, nodes: number): Trouble[] {
  return [
    ...attacks.map((attack) => ofAttack(attack, nodes)),
    ...listProblems.map(
      ({ problem, nodes: on }): Trouble => ({
        level: 'warn',
        kind: 'list_stale',
        text: `a list is not in force as it is written${where(on, nodes)}: ${problem}`,
      }),
    ),
    ...[...groupedBy(withoutCookies, ({ pool, why, areInUse }) => `${pool} ${areInUse} ${why}`).values()].map(
      ofRefusals,
    ),
  ];
}

function ofAttack(
  { service, kind, mode, sinceMs, packetsPerSecond, nodes }: AttackRow,
  all: number,
): Trouble {
  const age = sinceMs === undefined ? '' : ` for ${lasting(sinceMs)}`;
  const passes = mode === 'observe' ? '; it passes, since the rule only counts (mode observe)' : '';
  return {
    level: 'warn',
    kind: 'under_attack',
    text: `service ${service} is under attack${age}${where(nodes, all)}: ${attackText(kind)}, ${short(packetsPerSecond)} packets/s${passes}`,
    service,
  };
}

/** Of one pool, with one reason. */
function ofRefusals(some: readonly WithoutCookies[]): Trouble {
  const [{ pool, why, areInUse }] = some;
  const names = some.map(({ backend }) => backend);
  const cannot = `${listed(names)} cannot take SYN cookies`;
  return {
    level: areInUse ? 'bad' : 'note',
    kind: 'cookies_refused',
    text: areInUse
      ? `${pool}: ${cannot}, and SYNs beyond a cap are dropped: ${why}`
      : `${pool}: ${cannot}: ${why}`,
    pool,
    backend: names[0],
  };
}
