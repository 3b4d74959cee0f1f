/** The word of a GRE key, and what a forwarder puts into it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '#anyhop/packet/address.js';
import {
  defaultId,
  type KeyMember,
  keyIds,
  keyIndex,
  keyWord,
  slotKey,
  slotKeys,
} from '#anyhop/packet/second-chance-key.js';

const id = fc.integer({ min: 0, max: 0x7fff });
const member: fc.Arbitrary<KeyMember> = fc.record({
  id: fc.oneof(fc.integer({ min: 0, max: 4 }), id),
  agent: fc.boolean(),
});
const candidate = fc.option(member, { nil: undefined });

describe('the key of second chance', () => {
  it('is a 32-bit number: index, id 1, id 2', () => {
    assert.equal(keyWord(0, 11, 12), (11 << 15) | 12);
    assert.equal(keyWord(2, 0x7fff, 0x7fff), 0xbfffffff);
    assert.equal(keyWord(1, 1, 0), 0x40008000);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), id, id, (index, id1, id2) => {
        const word = keyWord(index, id1, id2);
        assert.equal(BigInt(word), (BigInt(index) << 30n) | (BigInt(id1) << 15n) | BigInt(id2));
        assert.equal(keyIndex(word), index);
        assert.deepEqual(
          keyIds(word),
          [id1, id2].filter((one) => one !== 0),
        );
      }),
    );
  });

  it('has the low 15 bits of an address for an id', () => {
    for (const [address, expected] of [
      ['10.1.0.11', 11],
      ['10.2.0.11', 11],
      ['10.1.128.0', 0],
      ['192.0.2.255', 0x2ff],
      ['fd00::ffff:8001', 1],
    ] as const)
      assert.equal(defaultId(parseAddress(address)!), expected, address);
  });

  const agents = (...ids: number[]) => ids.map((each) => ({ id: each, agent: true }));
  const tunnel = (each: number) => ({ id: each, agent: false });
  const cases: [what: string, KeyMember | undefined, KeyMember | undefined, KeyMember | undefined, number][] =
    [
      [
        'two candidates, in their order',
        ...(agents(1, 2, 3) as [KeyMember, KeyMember, KeyMember]),
        keyWord(0, 2, 3),
      ],
      ['nothing of a slot without an owner', undefined, agents(2)[0], agents(3)[0], 0],
      ['nothing for an owner without an agent', tunnel(1), agents(2)[0], agents(3)[0], 0],
      ['a candidate without an agent last', agents(1)[0], tunnel(2), agents(3)[0], keyWord(0, 3, 2)],
      [
        'only the first of two candidates without an agent',
        agents(1)[0],
        tunnel(2),
        tunnel(3),
        keyWord(0, 2, 0),
      ],
      ['no candidate without an id', agents(1)[0], agents(0)[0], agents(3)[0], keyWord(0, 3, 0)],
      ['no owner under another name', agents(1)[0], agents(1)[0], tunnel(3), keyWord(0, 3, 0)],
      ['no candidate twice', agents(1)[0], agents(2)[0], agents(2)[0], keyWord(0, 2, 0)],
      ['nothing when there is no candidate', agents(1)[0], undefined, undefined, 0],
    ];
  for (const [what, owner, first, second, expected] of cases)
    it(`has ${what}`, () => assert.equal(slotKey(owner, first, second), expected));

  it('is the same for a whole table as slot by slot', () => {
    const NONE = 0xffff;
    const index = (count: number) => fc.oneof(fc.nat(count - 1), fc.constant(NONE));
    const table = fc.array(member, { minLength: 1, maxLength: 8 }).chain((members) =>
      fc.record({
        members: fc.constant(members),
        slots: fc.array(fc.tuple(index(members.length), index(members.length), index(members.length))),
      }),
    );
    fc.assert(
      fc.property(table, ({ members, slots }) => {
        const column = (of: 0 | 1 | 2) => slots.map((slot) => slot[of]);
        const keys = slotKeys(
          members,
          Uint16Array.from(column(0)),
          Uint16Array.from([...column(1), ...column(2)]),
        );
        assert.deepEqual(
          [...keys],
          slots.map(([owner, first, second]) => slotKey(members[owner], members[first], members[second])),
        );
      }),
    );
  });

  it('has what any two candidates are left with', () => {
    fc.assert(
      fc.property(candidate, candidate, candidate, (owner, first, second) => {
        const ids = keyIds(slotKey(owner, first, second));
        if (owner === undefined || !owner.agent) {
          assert.deepEqual(ids, []);
          return;
        }
        // The rule word by word, over lists.
        const usable = [first, second]
          .flatMap((one) => (one === undefined || one.id === 0 || one.id === owner.id ? [] : [one]))
          .filter((one, i, all) => all.findIndex(({ id }) => id === one.id) === i);
        const last = usable.filter(({ agent }) => !agent).slice(0, 1);
        const expected = [...usable.filter(({ agent }) => agent), ...last].map(({ id }) => id);
        assert.deepEqual(ids, expected);
        assert.equal(keyIndex(slotKey(owner, first, second)), 0);
      }),
    );
  });
});
