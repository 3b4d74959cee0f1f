/** What a plan says of a pool's settings that change. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeSettings } from '#anyhop/pool/describe-change.js';
import { parse } from '../config/fixture.js';

const poolOf = (health: string) =>
  parse(
    `pools: {web: {${health && `health: ${health}, `}backends: [{name: a, address: 10.1.0.1}]}}\n` +
      'services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]\n',
    'pools',
  ).pools[0];

describe('a change of health checks', () => {
  it('is told by the names of the checks, where these differ', () => {
    const told = (before: string, after: string) => describeSettings(poolOf(before), poolOf(after));
    const both = '[{kind: tunnel}, {kind: http, port: 9612}]';
    assert.deepEqual(told('', '{kind: tunnel}'), ['health checks none -> tunnel']);
    assert.deepEqual(told('{kind: tunnel}', both), ['health checks tunnel -> tunnel, http 9612']);
    assert.deepEqual(told(both, '[{kind: tunnel}, {kind: http, port: 9612, fall: 1}]'), ['health checks']);
    assert.deepEqual(told('{kind: tunnel}', '[{kind: tunnel}]'), []);
  });
});
