/** Resolving once more, slot by slot as the rule reads, over machines and the oracle's layers: no index, no short cut. */
import type { Member, PoolState } from '#anyhop/table/state.js';
import { oracleLayers } from './oracle.js';

export interface OracleTables {
  /** Texts of machines. */
  readonly owners: (string | undefined)[];
  /** All candidates of each slot, in order. */
  readonly candidates: string[][];
}

export function oracleResolve(
  slots: number,
  state: PoolState,
  remembered: readonly PoolState[],
  panicThreshold: number,
): OracleTables {
  const all = [state, ...remembered];
  const orders = all.map((each) => preferences(slots, each, oracleEligible(each, panicThreshold)));
  const alive = preferences(
    slots,
    state,
    oracleEligible(state, panicThreshold).filter((name) => memberOf(state, name).health !== 'dead'),
  );
  const stacks = oracleLayers(state, slots);
  const latest = (machine: string): Member => all.flat().find((member) => machineText(member) === machine)!;

  const owners = orders[0].map(([first]) => first);
  const candidates = owners.map((owner, slot) => {
    const former = remembered.flatMap((each, i) => {
      const [machine] = orders[i + 1][slot];
      if (machine === undefined) return [];
      return latest(machine).health === 'dead' && believesMarks(each, panicThreshold) ? [] : [machine];
    });
    const stack = stacks.map((layer) => machineText(memberOf(state, layer[slot])));
    const above = stack.slice(0, stack.includes(owner!) ? stack.indexOf(owner!) : stack.length);
    const draining = above.filter((machine) => {
      const { state: admin, health, drained } = latest(machine);
      return admin === 'draining' && health === 'up' && !drained;
    });
    const isUp = (machine: string): boolean => latest(machine).health === 'up';
    const list = [
      ...former.filter(isUp),
      ...former.filter((machine) => !isUp(machine)),
      ...draining,
      ...alive[slot],
    ];
    return [...new Set(list)].filter((machine) => machine !== owner);
  });
  return { owners, candidates };
}

export function machineText({ name, address }: Member): string {
  return address?.text ?? name;
}

function memberOf(state: PoolState, name: string): Member {
  return state.find((member) => member.name === name)!;
}

function oracleEligible(state: PoolState, panicThreshold: number): string[] {
  const weighted = state.filter((m) => m.weight > 0);
  const active = weighted.filter((m) => m.state === 'active');
  const up = active.filter((m) => m.health === 'up');
  const drainingUp = weighted.filter((m) => m.state === 'draining' && m.health === 'up');
  const reachable = active.filter((m) => !m.unreachable);
  let chosen = reachable.length > 0 ? reachable : active;
  if (up.length > 0 && up.length / active.length >= panicThreshold) chosen = up;
  else if (up.length === 0 && drainingUp.length > 0) chosen = drainingUp;
  return chosen.map((m) => m.name).sort();
}

/** Whether only what is up may own. */
function believesMarks(state: PoolState, panicThreshold: number): boolean {
  const eligible = oracleEligible(state, panicThreshold);
  return state.every(({ name, health }) => health === 'up' || !eligible.includes(name));
}

/** For each slot the eligible backends, as machines, in the order in which it turns to them. */
function preferences(slots: number, state: PoolState, eligible: readonly string[]): string[][] {
  const layers = oracleLayers(state, slots);
  const wanted = new Set(eligible);
  return Array.from({ length: slots }, (_, slot) => {
    const order = layers.map((layer) => layer[slot]);
    const step = 1 + ((31337 * slot) % (slots - 1));
    for (const layer of layers) {
      for (let n = 0, at = slot; n < slots; n++, at = (at + step) % slots) order.push(layer[at]);
    }
    for (let i = 0; i < eligible.length; i++) order.push(eligible[(slot + i) % eligible.length]);
    return [...new Set(order)]
      .filter((name) => wanted.has(name))
      .map((name) => machineText(memberOf(state, name)));
  });
}
