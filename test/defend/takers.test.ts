/** Which agents take the cookies of a node: what the last report said holds until the agent says otherwise. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CookieTakers } from '#anyhop/defend/takers.js';

const [KEY, OTHER] = ['00112233445566aa', 'ffeeddccbbaa9988'];
const A = '10.1.0.11';
const NOW = 1_800_000_000_000;
const OK = { ok: true, keys: [OTHER, KEY] } as const;

function takers(): CookieTakers {
  const made = new CookieTakers([]);
  made.use(KEY);
  return made;
}

describe('an agent', () => {
  it('takes cookies once it has said so, with the key and the time of this node', () => {
    const all = takers();
    assert.match(all.whyNot(A)!, /has not answered yet/);
    assert.equal(all.heard(A, OK, NOW, NOW), true);
    assert.equal(all.takes(A), true);
    assert.equal(all.heard(A, OK, NOW, NOW), false);
  });

  it('takes none for each of these reasons', () => {
    const all = takers();
    const why = (cookies: Parameters<CookieTakers['heard']>[1], clockMs: number | undefined) => {
      all.heard(A, cookies, clockMs, NOW);
      return all.whyNot(A)!;
    };
    assert.match(why(undefined, NOW), /version that takes none/);
    assert.match(
      why({ ok: false, why: 'net.ipv4.tcp_syncookies is 0' }, NOW),
      /^net.ipv4.tcp_syncookies is 0$/,
    );
    assert.match(why({ ok: true, keys: [OTHER] }, NOW), /another key/);
    assert.match(why(OK, undefined), /does not tell its time/);
    assert.match(
      why(OK, NOW + 20_000),
      /its clock is 2[01]s ahead of that of this host; cookies take 12s at most/,
    );
    assert.match(why(OK, NOW - 20_000), /behind/);
    assert.equal(why(OK, NOW - 12_000), undefined);
    assert.equal(why(OK, NOW + 11_000), undefined);
  });

  it('takes them on while it is silent, and after a restart of the node, until it says otherwise', () => {
    const all = takers();
    all.heard(A, OK, NOW, NOW);
    const after = new CookieTakers(JSON.parse(JSON.stringify(all.kept)));
    after.use(KEY);
    assert.equal(after.takes(A), true);
    assert.equal(after.heard(A, { ok: false, why: 'no' }, NOW, NOW), true);
    assert.deepEqual(after.kept, []);
  });

  it('takes none under a key that it does not have yet', () => {
    const all = takers();
    all.heard(A, { ok: true, keys: [KEY] }, NOW, NOW);
    all.use(OTHER);
    assert.equal(all.takes(A), false);
    all.use(undefined);
    assert.equal(all.takes(A), false);
  });

  it('is forgotten with its backend', () => {
    const all = takers();
    all.heard(A, OK, NOW, NOW);
    all.keep(new Set());
    assert.equal(all.takes(A), false);
  });
});
