/**
 * The layered table once more, as literally as it can be written: BigInt where the product does exact doubles, a
 * comparison sort of turns, plain walks to the last slot. Slow, and independent of src/maglev on purpose.
 */
import { createHash } from 'node:crypto';

export interface Weighted {
  readonly name: string;
  readonly weight: number;
}

/** Layers of owner names, top first. */
export function oracleLayers(members: readonly Weighted[], slots: number): string[][] {
  const backends = members
    .filter((member) => member.weight > 0)
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  const layers: string[][] = [];
  while (layers.length < 4 && layers.length < backends.length) {
    layers.push(oracleLayer(backends, slots, layers));
  }
  return layers;
}

/** The turns' owners in order, for `count` slots: largest remainder, then (floor((2j+1) * count / 2q), j, name). */
export function oracleTurns(backends: readonly Weighted[], count: number): string[] {
  const sum = backends.reduce((total, backend) => total + BigInt(backend.weight), 0n);
  const shares = backends.map(({ name, weight }, i) => {
    const product = BigInt(count) * BigInt(weight);
    return { name, i, quota: Number(product / sum), remainder: product % sum };
  });
  let left = count - shares.reduce((total, share) => total + share.quota, 0);
  const byRemainder = [...shares].sort((a, b) =>
    a.remainder === b.remainder ? a.i - b.i : a.remainder > b.remainder ? -1 : 1,
  );
  for (const share of byRemainder) if (left-- > 0) share.quota++;
  const turns: { place: bigint; j: number; i: number; name: string }[] = [];
  for (const { name, i, quota } of shares) {
    for (let j = 0; j < quota; j++) {
      turns.push({ place: (BigInt(2 * j + 1) * BigInt(count)) / BigInt(2 * quota), j, i, name });
    }
  }
  turns.sort((a, b) => (a.place === b.place ? a.j - b.j || a.i - b.i : a.place < b.place ? -1 : 1));
  return turns.map((turn) => turn.name);
}

function oracleLayer(backends: readonly Weighted[], slots: number, above: readonly string[][]): string[] {
  const table = new Array<string | undefined>(slots).fill(undefined);
  const walks = new Map(
    backends.map(({ name }) => [name, { order: permutation(name, above.length, slots), next: 0 }]),
  );
  let stillIn = [...backends];
  for (let free = slots; free > 0; ) {
    for (const name of oracleTurns(stillIn, free)) {
      const walk = walks.get(name)!;
      const taken = (slot: number): boolean =>
        table[slot] !== undefined || above.some((layer) => layer[slot] === name);
      while (walk.next < slots && taken(walk.order[walk.next])) walk.next++;
      if (walk.next === slots) {
        stillIn = stillIn.filter((backend) => backend.name !== name);
        continue;
      }
      table[walk.order[walk.next++]] = name;
      free--;
    }
  }
  return table as string[];
}

/** All slots in the order in which `name` prefers them in layer `layer`. */
export function permutation(name: string, layer: number, slots: number): number[] {
  const digest = createHash('sha256').update(name, 'ascii').digest();
  const offset = digest.readUInt32BE(8 * layer) % slots;
  const skip = 1 + (digest.readUInt32BE(8 * layer + 4) % (slots - 1));
  return Array.from({ length: slots }, (_, position) => (offset + position * skip) % slots);
}

/** Maglev paper, section 3.4, pseudo-code 1, over names in sorted order: the owner's name of every slot. */
export function paperTable(names: readonly string[], slots: number): string[] {
  const N = names.length;
  const M = slots;
  const sorted = [...names].sort();
  const permutations = sorted.map((name) => permutation(name, 0, M));
  const next = new Array<number>(N).fill(0);
  const entry = new Array<number>(M).fill(-1);
  let n = 0;
  for (;;) {
    for (let i = 0; i < N; i++) {
      let c = permutations[i][next[i]];
      while (entry[c] >= 0) {
        next[i]++;
        c = permutations[i][next[i]];
      }
      entry[c] = i;
      next[i]++;
      n++;
      if (n === M) return entry.map((owner) => sorted[owner]);
    }
  }
}
