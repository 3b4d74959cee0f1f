/** Whom a backend takes for the fleet, after one config and another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fleet, fleetOf, withFormer } from '#anyhop/agent/fleet.js';
import { FleetHistory, heldBy } from '#anyhop/agent/fleet-history.js';
import { parseConfig } from '#anyhop/config/load.js';
import { CONFIG } from './fixture.js';

const configOf = (change: (text: string) => string = (text) => text) =>
  parseConfig(change(CONFIG), 'agent.yaml', { role: 'agent', env: {} });
const texts = ({ forwarders, backends, peers }: Fleet): string[][] => [
  ...[forwarders, backends].map((list) => list.map(({ text }) => text)),
  peers.map(({ id, address }) => `${id} ${address.text}`),
];
const served = ({ services }: Fleet): string[] =>
  services.map(
    ({ vip, protocol, portFirst, portLast }) => `${vip.text} ${protocol} ${portFirst}-${portLast}`,
  );

const BEFORE = configOf();
const AFTER = configOf((text) =>
  text
    .replace('10.0.0.0/28', '10.9.9.0/28')
    .replace('10.1.0.12', '10.1.0.22')
    .replace('fd00:1::12', 'fd00:1::22')
    .replace('  web:\n', '  web:\n    settle_time: 2s\n')
    .replace('  web6:\n', '  web6:\n    settle_time: 1s\n'),
);

test('a fleet is what the config says, and then what former ones had beside it', () => {
  assert.deepEqual(texts(fleetOf(BEFORE)), [
    ['10.0.0.0/28', 'fd00::/64'],
    ['10.1.0.11', '10.1.0.12', 'fd00:1::11', 'fd00:1::12'],
    ['11 10.1.0.11', '12 10.1.0.12', '17 fd00:1::11', '18 fd00:1::12'],
  ]);
  const [forwarders, backends, peers] = texts(withFormer(fleetOf(AFTER), [fleetOf(BEFORE)]));
  assert.deepEqual(forwarders, ['10.9.9.0/28', 'fd00::/64', '10.0.0.0/28']);
  assert.deepEqual(backends, [
    '10.1.0.11',
    '10.1.0.22',
    'fd00:1::11',
    'fd00:1::22',
    '10.1.0.12',
    'fd00:1::12',
  ]);
  assert.deepEqual(
    peers,
    ['11 10.1.0.11', '22 10.1.0.22', '17 fd00:1::11', '34 fd00:1::22'].concat([
      '12 10.1.0.12',
      '18 fd00:1::12',
    ]),
  );
});

test('peers are the backends of pools with second chance, by the prior state too', () => {
  const pools = BEFORE.pools.map((pool) => ({
    ...pool,
    backends: pool.backends.slice(0, 1),
    prior: pool.backends.map((backend) => ({ ...backend, health: 'up' as const })),
  }));
  assert.deepEqual(fleetOf({ ...BEFORE, pools }).peers, fleetOf(BEFORE).peers);
  const services = BEFORE.services.map((service) => ({ ...service, secondChance: false }));
  assert.deepEqual(fleetOf({ ...BEFORE, services }).peers, []);
});

test('a backend that gets another id is also known by the former one, and takes keys as the present config says', () => {
  const renamed = configOf((text) =>
    text.replace('address: 10.1.0.12}', 'address: 10.1.0.12, id: 900, agent: false}'),
  );
  const { peers } = withFormer(fleetOf(renamed), [fleetOf(BEFORE)]);
  const found = peers.filter(({ address }) => address.text === '10.1.0.12');
  assert.deepEqual(
    found.map(({ id, agent }) => [id, agent]),
    [
      [900, false],
      [12, false],
    ],
  );
  const history = new FleetHistory(heldBy(BEFORE)).next(renamed);
  assert.equal(history.former.length, 1, 'an id alone is worth a settle time');
});

test('an id that another backend had is refused while somebody may mean that one', () => {
  let nowMs = 1000;
  const first = new FleetHistory(heldBy(BEFORE), [], [], () => nowMs);
  const moved = configOf((text) => text.replace('10.1.0.12}', '10.2.0.12}'));
  const refusal = {
    code: 'ERR_CONFIG',
    message: /10\.2\.0\.12 has the id 12, which 10\.1\.0\.12 had within the settle time/,
    hint: /another id \(id: N\)/,
  };
  assert.throws(() => first.next(moved), refusal);
  const without = first.next(AFTER);
  nowMs += 299_999;
  assert.throws(() => without.next(moved), refusal);
  nowMs += 1;
  without.next(moved);
  first.next(BEFORE).next(AFTER);
  first.next(configOf((text) => text.replace('10.1.0.12}', '10.2.0.12, id: 900}')));
});

test('an agent that has missed the config without a backend gives its id away a settle time after it first refused to', () => {
  let nowMs = 1000;
  const first = new FleetHistory(heldBy(BEFORE), [], [], () => nowMs);
  const movedTo = (address: string) => configOf((text) => text.replace('10.1.0.12}', `${address}}`));
  const moved = movedTo('10.2.0.12');
  const refusal = { message: /10\.2\.0\.12 has the id 12, which 10\.1\.0\.12 had/ };
  const seen = first.withClaims(moved);
  assert.throws(() => seen.next(moved), refusal);
  nowMs += 299_999;
  assert.equal(seen.withClaims(moved), seen, 'another attempt prolongs nothing');
  assert.throws(() => seen.next(moved), refusal);
  nowMs += 1;
  assert.throws(() => first.next(moved), refusal, 'without a first attempt');
  assert.throws(
    () => seen.withClaims(movedTo('10.3.0.12')).next(movedTo('10.3.0.12')),
    /10\.3\.0\.12 has the id 12/,
  );
  const taken = seen.withClaims(moved).next(moved);
  const holders = taken.fleet().peers.filter(({ id }) => id === 12);
  assert.deepEqual(
    holders.map(({ address }) => address.text),
    ['10.2.0.12'],
  );
  assert.ok(
    texts(taken.fleet()).flat().includes('10.1.0.12'),
    'the backend that left is a stranger only later',
  );
  assert.deepEqual(taken.claims, []);
  const back = seen.next(BEFORE);
  assert.throws(() => back.next(moved), refusal, 'a config that is taken ends the wait');
});

test('a service that is gone, or has other ports, is taken for a settle time', () => {
  let nowMs = 1000;
  const first = new FleetHistory(heldBy(BEFORE), [], [], () => nowMs);
  const next = first.next(
    configOf((text) =>
      text.replace(/ .*name: games.*\n/, '').replace('port: 53, pool: web}', 'port: 54, pool: web}'),
    ),
  );
  const present = [
    '203.0.113.10 tcp 80-80',
    '203.0.113.10 udp 54-54',
    '2001:db8::10 tcp 80-80',
    '2001:db8::10 udp 53-53',
  ];
  assert.deepEqual(served(next.fleet()), [
    ...present,
    '203.0.113.10 udp 53-53',
    '203.0.113.20 udp 27000-27015',
  ]);
  nowMs += 300_000;
  assert.equal(next.hasExpired(), true);
  assert.deepEqual(served(next.fleet()), present);
});

test('a former fleet holds for longer in a fleet with a store, whose forwarders switch after the agents', () => {
  const store = `fleet: {name: edge, endpoints: ['http://127.0.0.1:2379'], operator_key: '${'A'.repeat(43)}='}\n`;
  const { settleMs } = heldBy(configOf((text) => text + store));
  assert.equal(settleMs, heldBy(BEFORE).settleMs + 30_000);
});

test('a former fleet holds for the longest settle time of the two configs, and one that has nothing else not at all', () => {
  let nowMs = 1000;
  const first = new FleetHistory(heldBy(BEFORE), [], [], () => nowMs);
  assert.deepEqual(first.next(BEFORE).former, []);
  const second = first.next(AFTER); // 5 minutes
  assert.deepEqual(
    second.former.map(({ fleet }) => texts(fleet)),
    [texts(fleetOf(BEFORE))],
  );
  nowMs += 299_999;
  const third = second.next(AFTER);
  assert.equal(third.former.length, 1, 'a reload of the same config forgets nothing');
  assert.deepEqual(texts(third.fleet()), texts(withFormer(fleetOf(AFTER), [fleetOf(BEFORE)])));
  assert.equal(third.hasExpired(), false);
  nowMs += 1;
  assert.equal(third.hasExpired(), true);
  assert.deepEqual(texts(third.fleet()), texts(fleetOf(AFTER)));
  assert.equal(third.next(AFTER).hasExpired(), false, 'the reload has taken it away');
});
