/** Where a flow goes and why: one frame of it through the pipeline that forwards, and the tables that it read. */
import type { Explanation } from '../api/api.js';
import { L, VERDICTS } from '../core/layout.gen.js';
import { type Lists, NO_LISTS } from '../forward/lists.js';
import { Pipeline } from '../forward/pipeline.js';
import { frameOfFlow } from '../forward/try-frame.js';
import type { Endpoint } from '../packet/compose.js';
import { keyIds } from '../packet/second-chance-key.js';
import type { AssembledPool, Assembly } from './assemble.js';

export function explain(
  assembly: Assembly,
  protocol: 'tcp' | 'udp',
  source: Endpoint,
  destination: Endpoint,
  lists: Lists = NO_LISTS,
): Explanation {
  const frame = frameOfFlow(assembly.image, protocol, source, destination);
  const memory = new Uint8Array(L.HEADROOM + frame.length);
  memory.set(frame, L.HEADROOM);
  const pipeline = new Pipeline(assembly.image);
  pipeline.lists = lists;
  pipeline.slot = -1;
  pipeline.formerSlot = -1;
  const number = pipeline.process(new DataView(memory.buffer), L.HEADROOM, frame.length);
  const verdict = VERDICTS[number];
  const outcome = { verdict: verdict.name, meaning: verdict.description };
  if (pipeline.slot < 0) return outcome;

  const { slot, formerSlot } = pipeline;
  const counter = assembly.image.halves[pipeline.service * 2 + L.SERVICE_COUNTER / 2];
  const name = assembly.numbers.services.names()[counter];
  const service = assembly.services.find((each) => each.name === name)!;
  const pool = assembly.pools.find(({ name }) => name === service.pool)!;
  const { tables } = pool;
  const { members: backends } = tables;
  const owner = backends[tables.owners[slot]];
  const alternates = [tables.alternates[slot], tables.alternates[pool.slots + slot]].flatMap(
    (index) => backends[index] ?? [],
  );
  const named = keyIds(pipeline.key).map((id) => backends.find((one) => one.id === id)!.name);
  const members = new Map(pool.state.map((member) => [member.name, member]));
  return {
    ...outcome,
    service: service.name,
    pool: pool.name,
    hash: pipeline.hash >>> 0,
    slot,
    slots: pool.slots,
    owner: owner?.name ?? null,
    ...(owner && { ownerAddress: owner.address.text }),
    alternates: alternates.map(({ name, id }) => ({ backend: name, id })),
    ...(formerSlot >= 0 && {
      formerKey: { id: pool.formerKey!, slot: formerSlot, holders: namesAt(pool, formerSlot) },
    }),
    ...(pipeline.key !== 0 && {
      key: { word: `0x${pipeline.key.toString(16).padStart(8, '0')}`, backends: named },
    }),
    stack: tables.stack.layers.map((layer) => {
      const backend = tables.stack.names[layer[slot]];
      const { state, health, unreachable } = members.get(backend)!;
      return { backend, state, health, ...(unreachable && { unreachable }) };
    }),
    mode: tables.mode,
  };
}

/** Who may hold the connections of a slot of the former flow hash key. */
function namesAt({ tables: { holders, members }, slots }: AssembledPool, slot: number): string[] {
  return holders === undefined
    ? []
    : [holders[slot], holders[slots + slot]].flatMap((index) => members[index]?.name ?? []);
}
