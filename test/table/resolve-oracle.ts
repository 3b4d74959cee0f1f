/** Resolving once more, slot by slot as the rule reads, over names and the oracle's layers: no index, no short cut. */
import type { Member, PoolState } from '#anyhop/table/state.js';
import { oracleLayers } from './oracle.js';

export interface OracleTables {
  readonly owners: (string | undefined)[];
  /** All candidates of each slot, in order. */
  readonly candidates: string[][];
}

export function oracleResolve(
  slots: number,
  state: PoolState,
  prior: PoolState,
  panicThreshold: number,
): OracleTables {
  const layers = oracleLayers(state, slots);
  const priorLayers = oracleLayers(prior, slots);
  const eligible = oracleEligible(state, panicThreshold);
  const priorEligible = oracleEligible(prior, panicThreshold);
  const member = (name: string): Member =>
    state.find((m) => m.name === name) ?? prior.find((m) => m.name === name)!;

  const owners: (string | undefined)[] = [];
  const candidates: string[][] = [];
  for (let slot = 0; slot < slots; slot++) {
    const owner = preferences(slot, slots, layers, eligible)[0];
    const former = preferences(slot, slots, priorLayers, priorEligible)[0];
    const stack = layers.map((layer) => layer[slot]);
    const height = owner === undefined || !stack.includes(owner) ? stack.length : stack.indexOf(owner);
    const list = [
      ...(former === undefined || (member(former).health === 'dead' && believesMarks(prior, panicThreshold))
        ? []
        : [former]),
      ...stack.slice(0, height).filter((name) => {
        const { state: admin, health, drained } = member(name);
        return admin === 'draining' && health === 'up' && !drained;
      }),
      ...preferences(
        slot,
        slots,
        layers,
        eligible.filter((name) => member(name).health !== 'dead'),
      ),
    ];
    owners.push(owner);
    candidates.push([...new Set(list)].filter((name) => name !== owner));
  }
  return { owners, candidates };
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

/** Every eligible backend in the order in which `slot` turns to them. */
function preferences(
  slot: number,
  slots: number,
  layers: readonly string[][],
  eligible: readonly string[],
): string[] {
  const order = layers.map((layer) => layer[slot]);
  const step = 1 + ((31337 * slot) % (slots - 1));
  for (const layer of layers) {
    for (let n = 0, at = slot; n < slots; n++, at = (at + step) % slots) order.push(layer[at]);
  }
  for (let i = 0; i < eligible.length; i++) order.push(eligible[(slot + i) % eligible.length]);
  const wanted = new Set(eligible);
  return [...new Set(order)].filter((name) => wanted.has(name));
}
