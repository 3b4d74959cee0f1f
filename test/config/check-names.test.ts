/** What checks are called beside each other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkNames } from '#anyhop/config/check-names.js';
import { parse } from './fixture.js';

const SERVICE = '{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}';

function namesOf(checks: readonly object[]): string[] {
  const pools = `pools: {web: {health: ${JSON.stringify(checks)}, backends: [{name: a, address: 10.1.0.1}]}}`;
  return checkNames(parse(`${pools}\nservices: [${SERVICE}]\n`, 'pools').pools[0].health);
}

describe('the name of a health check', () => {
  it('is its kind and port, with more only where another check has the same ones', () => {
    const http = (path: string, host?: string) => ({ kind: 'http', port: 9612, path, ...(host && { host }) });
    assert.deepEqual(namesOf([{ kind: 'tunnel' }, http('/anyhop-l7')]), ['tunnel', 'http 9612']);
    assert.deepEqual(namesOf([http('/alive'), { kind: 'tcp' }, http('/ready')]), [
      'http 9612 /alive',
      'tcp 80',
      'http 9612 /ready',
    ]);
    assert.deepEqual(namesOf([http('/a', 'x'), http('/b'), http('/a', 'y')]), [
      'http 9612 (health[0])',
      'http 9612 /b',
      'http 9612 (health[2])',
    ]);
  });

  it("is no other check's name", () => {
    const check = fc.oneof(
      fc.record({
        kind: fc.constantFrom('http', 'https'),
        path: fc.constantFrom('/', '/(health[1])'),
        host: fc.constantFrom('a', 'b'),
      }),
      fc.record({ kind: fc.constant('udp'), payload: fc.constantFrom('a', 'b', 'c') }),
      fc.constant({ kind: 'tcp' }),
      fc.constant({ kind: 'tunnel' }),
    );
    const lists = fc.uniqueArray(check, {
      minLength: 1,
      maxLength: 4,
      selector: (one) => JSON.stringify(one),
    });
    fc.assert(
      fc.property(lists, (checks) => {
        const names = namesOf(checks);
        assert.equal(new Set(names).size, checks.length, names.join());
        for (const [index, { kind }] of checks.entries()) assert.ok(names[index].startsWith(kind));
      }),
    );
  });
});
