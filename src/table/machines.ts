/**
 * The members of a pool's states by number, one for each machine (state.ts): those of the present state by name, then those that
 * only a remembered state has, the newest state first, by name in each. Another address under a known name is one more machine;
 * another name under a known address is none.
 */
import { byName } from './layers.js';
import type { StateOwners } from './owners.js';
import { type Member, machineOf } from './state.js';

export class Machines<M extends Member> {
  /** As they are now, or in the newest state that has them. */
  readonly members: M[];
  readonly #numbers = new Map<string, number>();

  /** @throws RangeError for two members with one name or one address */
  constructor(state: readonly M[]) {
    this.members = [...state].sort(byName);
    for (const [i, member] of this.members.entries()) {
      if (i > 0 && this.members[i - 1].name === member.name)
        throw new RangeError(`two members are named ${member.name}`);
      this.#numbers.set(machineOf(member), i);
    }
    if (this.#numbers.size < this.members.length)
      throw new RangeError('two members of a pool state have one address');
  }

  /** The number of each name of a stack; members that are new get one. @param state the one that was resolved, as it is now */
  ofStack(state: readonly M[], { places }: StateOwners): Uint16Array {
    const numbers = new Uint16Array(places.length);
    for (let i = 0; i < places.length; i++) {
      const member = state[places[i]];
      // Most states have the members of the present one, with the same addresses.
      const likely = this.members[i];
      const isLikely = likely?.address !== undefined && likely.address === member.address;
      numbers[i] = isLikely ? i : this.#of(member);
    }
    return numbers;
  }

  #of(member: M): number {
    const machine = machineOf(member);
    const known = this.#numbers.get(machine);
    if (known !== undefined) return known;
    this.#numbers.set(machine, this.members.length);
    return this.members.push(member) - 1;
  }
}
