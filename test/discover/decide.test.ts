import { deepEqual, equal, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Standing } from '#anyhop/config/edit/found.js';
import type { Found } from '#anyhop/discover/answer.js';
import { type Decision, decide, isAllowed, presentNames, type Question } from '#anyhop/discover/decide.js';
import { parsePrefix } from '#anyhop/packet/address.js';

const ALLOWED = [parsePrefix('10.1.0.0/16')!];
const LIMITS = { allowedAddresses: ALLOWED, least: 2, maxRemove: 0.3 };

function standing(number: number, more: Partial<Standing> = {}): Standing {
  return {
    name: `web-${number}`,
    address: `10.1.0.${number}`,
    weight: 1,
    state: 'active',
    leaves: false,
    ...more,
  };
}

const found = (number: number, more: Partial<Found> = {}): Found => ({
  name: `web-${number}`,
  address: `10.1.0.${number}`,
  ...more,
});

const LEAVES = { state: 'draining', leaves: true } as const;
const TEN = Array.from({ length: 10 }, (_, i) => standing(i + 1));
const ALL = TEN.map((_, i) => found(i + 1));

function ask(question: Partial<Question>): Decision {
  const { inForce = TEN } = question;
  return decide({
    kind: 'pool',
    inForce,
    recent: [presentNames(inForce)],
    found: ALL,
    limits: LIMITS,
    holds: () => true,
    isDrained: () => false,
    ...question,
  });
}

describe('what an answer of a source changes', () => {
  test('the same backends change nothing', () => {
    const { next, changes, alarm } = ask({});
    deepEqual([next, changes, alarm], [TEN, [], undefined]);
  });

  test('a new backend joins with its weight', () => {
    const { next, changes } = ask({ found: [found(11, { weight: 3 }), ...ALL] });
    deepEqual(changes, ['web-11 joins']);
    deepEqual(next.at(-1), standing(11, { weight: 3 }));
  });

  test('one that is gone drains, and leaves when its drain is done', () => {
    const first = ask({ found: ALL.slice(1) });
    deepEqual(first.changes, ['web-1 drains']);
    deepEqual(first.next[0], standing(1, LEAVES));
    const still = ask({ inForce: first.next, found: ALL.slice(1) });
    deepEqual(still.changes, []);
    const last = ask({ inForce: first.next, found: ALL.slice(1), isDrained: (name) => name === 'web-1' });
    deepEqual(last.changes, ['web-1 leaves']);
    deepEqual(last.next, TEN.slice(1));
  });

  test('one that comes back while it drains does not drain any more', () => {
    const { next, changes } = ask({ inForce: [standing(1, LEAVES), ...TEN.slice(1)] });
    deepEqual(changes, ['web-1 is back']);
    deepEqual(next, TEN);
  });

  test('one that the operator drains stays so, and leaves when it is gone and its drain is done', () => {
    const inForce = [standing(1, { state: 'draining' }), ...TEN.slice(1)];
    deepEqual(ask({ inForce, isDrained: () => true }).changes, []);
    deepEqual(ask({ inForce, found: ALL.slice(1) }).changes, []);
    deepEqual(ask({ inForce, found: ALL.slice(1), isDrained: () => true }).changes, ['web-1 leaves']);
  });

  test('one that the source drains drains, and does not leave for as long as it is named', () => {
    const drained = [found(1, { draining: true }), ...ALL.slice(1)];
    const { next } = ask({ found: drained });
    deepEqual(next[0], standing(1, LEAVES));
    deepEqual(ask({ inForce: next, found: drained, isDrained: () => true }).changes, []);
  });

  test('another address under a known name joins when the old one has left', () => {
    const moved = [found(1, { address: '10.1.0.99' }), ...ALL.slice(1)];
    const first = ask({ found: moved });
    deepEqual(first.changes, ['web-1 drains']);
    const second = ask({ inForce: first.next, found: moved, isDrained: () => true });
    deepEqual(second.changes, ['web-1 leaves', 'web-1 joins']);
    equal(second.next.at(-1)!.address, '10.1.0.99');
  });

  test('an empty answer changes nothing, not even who is drained', () => {
    const inForce = [standing(1, LEAVES), ...TEN.slice(1)];
    const { next, alarm } = ask({ inForce, found: [], isDrained: () => true });
    equal(next, inForce);
    equal(alarm?.kind, 'empty');
  });

  test('an answer that takes away too much takes nobody away, and still brings who joins', () => {
    const { changes, alarm } = ask({ found: [...ALL.slice(4), found(11)] });
    deepEqual(changes, ['web-11 joins']);
    equal(alarm?.kind, 'too_many');
    ok(alarm.text.includes('4 of 10 within the settle time; max_remove lets 3 go'), alarm.text);
  });

  test('a broken answer does not take away whom the operator drains', () => {
    const inForce = [standing(1, { state: 'draining' }), ...TEN.slice(1)];
    deepEqual(ask({ inForce, found: ALL.slice(5), isDrained: () => true }).changes, []);
  });

  test('small steps do not add up within the settle time', () => {
    const recent = [presentNames(TEN)];
    const inForce = [1, 2, 3].map((number) => standing(number, LEAVES)).concat(TEN.slice(3));
    const { changes, alarm } = ask({
      inForce,
      recent: [...recent, presentNames(inForce)],
      found: ALL.slice(4),
    });
    deepEqual(changes, []);
    equal(alarm?.kind, 'too_many');
  });

  test('servers that nobody knew do not make room for taking away more', () => {
    const strangers = Array.from({ length: 30 }, (_, i) => standing(i + 100));
    const inForce = [...TEN, ...strangers];
    const found = inForce.slice(4).map(({ name, address }) => ({ name, address }));
    equal(
      ask({ inForce, recent: [presentNames(TEN), presentNames(inForce)], found }).alarm?.kind,
      'too_many',
    );
  });

  test('the last min_backends are not taken away, and of a small pool one may go', () => {
    const three = TEN.slice(0, 3);
    deepEqual(ask({ inForce: three, found: ALL.slice(0, 2) }).changes, ['web-3 drains']);
    const { changes, alarm } = ask({ inForce: three.slice(0, 2), found: ALL.slice(0, 1) });
    deepEqual(changes, []);
    equal(alarm?.kind, 'too_few');
  });

  for (const [what, wrong, words] of [
    [
      'an address outside of allowed_addresses',
      found(11, { address: '192.0.2.1' }),
      'web-11 (192.0.2.1) outside of allowed',
    ],
    ['a name twice', found(1, { address: '10.1.0.77' }), 'the name web-1 twice'],
    ['an address twice', found(77, { address: '10.1.0.1' }), 'the address 10.1.0.1 twice'],
  ] as const)
    test(`an answer with ${what} changes nothing`, () => {
      const { next, alarm } = ask({ found: [...ALL.slice(1), wrong, ...ALL.slice(0, 1)] });
      equal(next, TEN);
      equal(alarm?.kind, 'wrong');
      ok(alarm.text.includes(words), alarm.text);
    });

  test('a backend with the id of another one does not join, and all else does', () => {
    const idHolders = () => new Map(TEN.map(({ address }, i) => [i + 1, new Set([address])]));
    const same = found(20, { address: '10.1.128.3' });
    const twin = found(22, { address: '10.1.128.21' });
    const wanted = [...ALL.slice(1), same, found(21), twin, found(23, { address: '10.1.128.0' })];
    const { changes, alarm } = ask({ found: wanted, idHolders });
    deepEqual(changes, ['web-1 drains', 'web-21 joins']);
    equal(alarm?.kind, 'id_taken');
    for (const words of [
      'web-20 (10.1.128.3 has the id of 10.1.0.3)',
      'web-22 (10.1.128.21 has the id of 10.1.0.21)',
      'web-23 (10.1.128.0 has the id 0',
    ])
      ok(alarm.text.includes(words), alarm.text);
    deepEqual(ask({ found: wanted }).changes.length, 5);
  });

  test('servers of an upstream are told apart by their ports too, and have limits of their own', () => {
    const server = (port: number): Standing => standing(1, { name: `api-${port}`, port });
    const says = (port: number): Found => found(1, { name: `api-${port}`, port });
    const inForce = [server(80), server(81)];
    const question = { kind: 'upstream', inForce, recent: [presentNames(inForce)] } as const;
    const joined = ask({ ...question, found: [says(80), says(81), says(82)] });
    deepEqual(joined.next, [...inForce, server(82)]);
    const moved = ask({
      ...question,
      inForce: joined.next,
      found: [says(80), says(81), { ...says(82), port: 83 }],
    });
    deepEqual(moved.changes, ['api-82 drains']);
    const few = ask({ ...question, found: [says(80)] });
    ok(few.alarm?.text.includes('min_servers is 2'), few.alarm?.text);
    const twice = ask({ ...question, found: [says(80), { ...says(80), name: 'other' }] });
    ok(twice.alarm?.text.includes('the address 10.1.0.1 port 80 twice'), twice.alarm?.text);
  });

  test('a name that does not hold still stays as it is', () => {
    const { changes } = ask({
      found: [...ALL.slice(2), found(11), found(12)],
      holds: (name) => !/-(1|11)$/.test(name),
    });
    deepEqual(changes, ['web-2 drains', 'web-12 joins']);
  });
});

describe('laws of what answers change', () => {
  const name = fc.integer({ min: 1, max: 12 });
  const address = fc.integer({ min: 1, max: 14 }).map((n) => (n === 14 ? '192.0.2.1' : `10.1.0.${n}`));
  const answer = fc.array(
    fc.record({
      name: name.map((n) => `web-${n}`),
      address,
      weight: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
      draining: fc.boolean(),
    }),
    { maxLength: 14 },
  );
  /** As sources mostly are: names and addresses belong together. */
  const good = fc.uniqueArray(name, { maxLength: 12 }).map((numbers) => numbers.map((n) => found(n)));
  const pool = fc
    .uniqueArray(fc.tuple(name, fc.constantFrom({}, LEAVES, { state: 'draining' as const })), {
      selector: ([n]) => n,
      minLength: 1,
      maxLength: 12,
    })
    .map((members) => members.map(([n, more]) => standing(n, more)));
  const limits = fc
    .record({ least: fc.integer({ min: 1, max: 5 }), maxRemove: fc.constantFrom(0, 0.1, 0.3, 0.5, 1) })
    .map((some) => ({ ...LIMITS, ...some }));
  const drained = fc.func(fc.boolean());
  const holding = fc.oneof(
    fc.constant(() => true),
    fc.func(fc.boolean()),
  );
  const question = fc
    .record({
      kind: fc.constant('pool' as const),
      inForce: pool,
      found: fc.oneof(answer, good),
      limits,
      isDrained: drained,
      holds: holding,
      older: fc.array(pool, { maxLength: 2 }),
    })
    .map(({ older, ...rest }): Question => ({ ...rest, recent: [...older, rest.inForce].map(presentNames) }));

  const law = (holds: (asked: Question, decision: Decision) => boolean): void => {
    fc.assert(
      fc.property(question, (asked) => holds(asked, decide(asked))),
      { numRuns: 300 },
    );
  };
  const active = (backends: readonly Standing[]) => backends.filter(({ state }) => state === 'active');

  test('nobody is taken away below min_backends', () => {
    law(({ inForce, limits: { least } }, { next }) => {
      const after = new Set(active(next).map((one) => one.name));
      return after.size >= least || active(inForce).every((one) => after.has(one.name));
    });
  });

  test('from no state of the settle time more is gone than max_remove, by what is decided now', () => {
    law(({ inForce, recent, limits: { maxRemove } }, { next }) => {
      const present = presentNames(next);
      if ([...presentNames(inForce)].every((each) => present.has(each))) return true;
      return recent.every((state) => {
        const gone = [...state].filter((each) => !present.has(each)).length;
        return gone <= (maxRemove === 0 ? 0 : Math.max(1, Math.floor(state.size * maxRemove)));
      });
    });
  });

  test('whoever takes connections drains before it goes', () => {
    law(({ inForce }, { next }) => {
      const after = new Set(next.map((one) => `${one.name} ${one.address}`));
      return active(inForce).every((one) => after.has(`${one.name} ${one.address}`));
    });
  });

  test('whoever drains goes only when its drain is done', () => {
    law(({ inForce, isDrained }, { next }) => {
      const after = new Set(next.map((one) => `${one.name} ${one.address}`));
      return inForce.every((one) => after.has(`${one.name} ${one.address}`) || isDrained(one.name));
    });
  });

  test('names and addresses stay unique, and addresses of newcomers are allowed', () => {
    law(({ inForce }, { next }) => {
      const before = new Set(inForce.map((one) => one.address));
      const strangers = next.filter((one) => !before.has(one.address) && !isAllowed(one.address, ALLOWED));
      const names = new Set(next.map((one) => one.name));
      const addresses = new Set(next.map((one) => one.address));
      return strangers.length === 0 && names.size === next.length && addresses.size === next.length;
    });
  });

  test('an answer that is empty or wrong changes nothing', () => {
    law(({ inForce }, { next, alarm }) =>
      alarm?.kind === 'empty' || alarm?.kind === 'wrong' ? next === inForce : true,
    );
  });

  test('the same answer decides the same in any order', () => {
    fc.assert(
      fc.property(question, fc.infiniteStream(fc.nat()), (asked, numbers) => {
        const shuffled = asked.found
          .map((one) => [numbers.next().value as number, one] as const)
          .sort(([a], [b]) => a - b)
          .map(([, one]) => one);
        deepEqual(decide({ ...asked, found: shuffled }), decide(asked));
      }),
      { numRuns: 200 },
    );
  });

  test('what is decided stays so when it is asked again', () => {
    law((asked, { next }) => {
      const drained = new Set(asked.inForce.flatMap((one) => (one.state === 'draining' ? [one.name] : [])));
      const again = decide({
        ...asked,
        inForce: next,
        recent: [...asked.recent, presentNames(next)],
        isDrained: (each) => drained.has(each) && asked.isDrained(each),
      });
      return again.changes.length === 0;
    });
  });

  test('whom the operator drains is never made active', () => {
    law(({ inForce }, { next }) => {
      const drains = new Set(
        inForce.flatMap((one) =>
          one.state === 'draining' && !one.leaves ? [`${one.name} ${one.address}`] : [],
        ),
      );
      return active(next).every(
        (one) => !drains.has(`${one.name} ${one.address}`) || inForce.every((was) => was.name !== one.name),
      );
    });
  });
});
