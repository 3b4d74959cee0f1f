/** Which configs go on with the agent's program in force. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Environment } from '#anyhop/agent/environment.js';
import { fleetOf } from '#anyhop/agent/fleet.js';
import { type Prepared, withSameProgram } from '#anyhop/agent/prepared.js';
import { parseConfig } from '#anyhop/config/load.js';
import { Secret } from '#anyhop/config/secret.js';
import { CONFIG } from './fixture.js';

const configOf = (change: (text: string) => string = (text) => text) =>
  parseConfig(change(CONFIG), 'agent.yaml', { role: 'agent', env: {} });

const ENVIRONMENT: Environment = {
  ...{ interface: 'eth0', interfaceIndex: 2, mtu: 1600, kind: undefined },
  ...{ locals: fleetOf(configOf()).backends.slice(0, 1), leftover: undefined, findings: [] },
};
/** Stands for a program and what follows the host for it: they are handed on, and not used. */
const parts = { program: {}, secondChance: {}, localVips: {}, connections: {} };
const IN_FORCE = {
  ...(parts as unknown as Pick<Prepared, keyof typeof parts>),
  ...{ config: configOf(), fleet: fleetOf(configOf()), environment: ENVIRONMENT },
};

function prepared(change: (text: string) => string, environment = ENVIRONMENT): Prepared | undefined {
  const config = configOf(change);
  return withSameProgram(IN_FORCE, config, fleetOf(config), environment);
}

test('a weight, a drain and a comment need no other program', () => {
  for (const change of [
    (text: string) => text.replace('10.1.0.12}', '10.1.0.12, weight: 7}'),
    (text: string) => text.replace('10.1.0.12}', '10.1.0.12, state: draining}'),
    (text: string) => `# a comment\n${text}`,
  ]) {
    assert.notEqual(change(CONFIG), CONFIG);
    const next = prepared(change);
    assert.equal(next?.program, IN_FORCE.program);
    assert.equal(next?.secondChance, IN_FORCE.secondChance);
    assert.notEqual(next?.config, IN_FORCE.config, 'the config is the new one');
  }
});

test('whatever the program or its followers know needs another one', () => {
  for (const change of [
    (text: string) =>
      text.replace('address: 10.1.0.12}', 'address: 10.1.0.12}\n      - {name: web-3, address: 10.1.0.13}'),
    (text: string) => text.replace('10.1.0.12}', '10.1.0.22}'),
    (text: string) => text.replace('10.1.0.12}', '10.1.0.12, id: 900}'),
    (text: string) => text.replace('10.1.0.12}', '10.1.0.12, agent: false}'),
    (text: string) => text.replace('10.0.0.0/28', '10.9.9.0/28'),
    (text: string) => text.replace('port: 53, pool: web}', 'port: 54, pool: web}'),
    (text: string) => text.replace('  web:\n', '  web:\n    settle_time: 61s\n'),
  ]) {
    assert.notEqual(change(CONFIG), CONFIG);
    assert.equal(prepared(change), undefined, change(CONFIG));
  }
});

test('another address, index, MTU or kind of the interface needs another program, and other findings do not', () => {
  const same = (text: string): string => text;
  const others: Partial<Environment>[] = [
    { interfaceIndex: 3 },
    { mtu: 1500 },
    { kind: 'veth' },
    { locals: fleetOf(configOf()).backends.slice(0, 2) },
  ];
  for (const other of others) assert.equal(prepared(same, { ...ENVIRONMENT, ...other }), undefined);
  const leftover = { id: 7, name: 'anyhop_agent', isPinned: true } as unknown as Environment['leftover'];
  assert.ok(prepared(same, { ...ENVIRONMENT, leftover }));
});

test('another key of SYN cookies needs another program, and the same one read again does not', () => {
  const withKeys = (own: number | undefined, fleet: number) => {
    const secretOf = (byte: number): Secret => new Secret(new Uint8Array(16).fill(byte));
    const secrets = { own: own === undefined ? undefined : secretOf(own), former: undefined };
    const config = configOf((text) => `${text}\ndefend: {}\n`);
    return { ...config, defend: { ...config.defend!, cookies: { ...secrets, fleet: secretOf(fleet) } } };
  };
  for (const own of [1, undefined]) {
    const inForce = { ...IN_FORCE, config: withKeys(own, 1) };
    const sameAs = (config: typeof inForce.config) =>
      withSameProgram(inForce, config, inForce.fleet, ENVIRONMENT);
    assert.ok(sameAs(withKeys(own, 1)), 'read again');
    assert.equal(
      sameAs(withKeys(own, 2)),
      undefined,
      'the secret of the fleet, which is one of the two keys',
    );
    assert.equal(sameAs(withKeys(3, 1)), undefined, 'a key of its own');
  }
});
