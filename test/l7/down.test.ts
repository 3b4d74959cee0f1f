/** Why a server is down: HAProxy's last bad word, kept while checks pass and do not yet bring it back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Down, downNow, whyOf } from '#anyhop/l7/down.js';
import type { ServerStat } from '#anyhop/l7/haproxy/stats.js';

const stat = (status: string, check: string, last?: string, code?: number): ServerStat =>
  ({ status, check: { status: check, code, description: 'described', last } }) as unknown as ServerStat;

/** What is known after these looks. */
const after = (...looks: readonly ServerStat[]): Down | undefined =>
  looks.reduce<Down | undefined>((known, each) => downNow(known, each), undefined);

const REFUSED = stat('DOWN', 'L4CON', 'Connection refused');
const OBSERVED = stat('DOWN', 'HANA', 'Detected 10 consecutive errors');

describe('a server that is down', () => {
  it('has the result of its last check as the reason', () => {
    assert.deepEqual(after(REFUSED), { why: 'L4CON Connection refused', isTakenOut: false });
    assert.equal(whyOf(stat('DOWN', '* L7STS', 'Not Found', 404), undefined), 'L7STS 404 Not Found');
    assert.equal(whyOf(stat('DOWN', 'L4TOUT'), undefined), 'L4TOUT described');
  });

  it('keeps the reason while checks pass, and shows how many have', () => {
    const rising = stat('DOWN 1/2', 'L4OK', 'Layer4 check passed');
    assert.deepEqual(after(REFUSED, rising), after(REFUSED));
    assert.equal(whyOf(rising, after(REFUSED)), 'L4CON Connection refused (1/2 checks)');
    assert.equal(after(REFUSED, rising, stat('UP', 'L4OK')), undefined);
  });

  it('keeps the reason over a reload, after which no check has been made yet', () => {
    assert.deepEqual(after(REFUSED, stat('DOWN', 'INI')), after(REFUSED));
  });

  it('is taken out for the requests that it failed, until a check fails', () => {
    assert.equal(after(OBSERVED)?.isTakenOut, true);
    const own: Down = { why: '12 requests in a row failed', isTakenOut: true };
    assert.deepEqual(downNow(own, stat('DOWN', 'L7OK', 'OK', 200)), own);
    assert.deepEqual(downNow(own, REFUSED), after(REFUSED));
    assert.deepEqual(after(stat('DOWN 1/2', 'L7OK')), { why: 'taken out', isTakenOut: true });
  });
});

describe('a server that is up', () => {
  it('has no reason while its checks pass, and the last failure while they do not', () => {
    assert.equal(whyOf(stat('UP', 'L7OK'), undefined), undefined);
    assert.equal(whyOf(stat('no check', ''), undefined), undefined);
    assert.equal(
      whyOf(stat('UP 1/3', 'L7STS', 'Not Found', 404), undefined),
      'L7STS 404 Not Found (1/3 checks)',
    );
  });
});
