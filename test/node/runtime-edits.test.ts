/** What is added and removed at runtime, over the texts that a config file has by and by. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ControlError } from '#anyhop/api/api.js';
import type { RuntimeEdit } from '#anyhop/config/edit/kept.js';
import { createLog } from '#anyhop/core/log.js';
import type { ReadConfig } from '#anyhop/node/config-file.js';
import { editing } from '#anyhop/node/editing.js';
import { RuntimeEdits } from '#anyhop/node/runtime-edits.js';
import { FILE, join, POOLS, parse } from '../config/fixture.js';

const TEXT = join({ pools: `# the shop\n${POOLS}` });
const since = '2024-05-01T12:00:00.000Z';
const added: RuntimeEdit = {
  kind: 'add',
  pool: 'web',
  entry: { name: 'web-3', address: '10.1.0.13' },
  since,
};
const removed: RuntimeEdit = { kind: 'remove', pool: 'web', backend: 'web-2', since };

function edits(kept: readonly RuntimeEdit[] = []) {
  const written: (readonly RuntimeEdit[])[] = [];
  const all = new RuntimeEdits({
    file: FILE,
    kept,
    parse: (text) => parse(text),
    keep: async (list) => void written.push(list),
    log: createLog('silent'),
  });
  all.begin(all.over(read(TEXT)));
  return { all, written };
}

const read = (text: string): ReadConfig => ({ config: parse(text), text });
const names = ({ config }: ReadConfig) => config.pools[0]!.backends.map(({ name }) => name);

describe('a backend that is asked for', () => {
  it('is refused with what there is, in a fleet, and where another one has the name', () => {
    const { all } = edits();
    const { pools } = parse(TEXT);
    const code = (ask: () => unknown) => {
      try {
        return ask();
      } catch (error) {
        assert.ok(error instanceof ControlError);
        return [error.status, error.code];
      }
    };
    const add = { kind: 'add', pool: 'web', entry: { name: 'web-2', address: '10.1.0.22' } } as const;
    assert.deepEqual(
      code(() => editing(undefined, pools, add)),
      [409, 'ERR_FLEET'],
    );
    assert.deepEqual(
      code(() => editing(all, pools, { ...add, pool: 'x' })),
      [404, 'ERR_POOL'],
    );
    assert.deepEqual(
      code(() => editing(all, pools, { kind: 'remove', backend: 'x' })),
      [404, 'ERR_BACKEND'],
    );
    assert.deepEqual(
      code(() => editing(all, pools, add).read()),
      [409, 'ERR_BACKEND'],
    );
    assert.deepEqual(
      code(() => editing(all, pools, { kind: 'remove', backend: 'dns-1' }).read()),
      [409, 'ERR_BACKEND'],
    );
  });
});

describe('backends that are added and removed at runtime', () => {
  it('lie over the text in force, and are kept once they are in force', async () => {
    const { all, written } = edits();
    const next = all.and([added, removed]);
    assert.deepEqual(names(next), ['web-1', 'web-3']);
    assert.ok(next.text.startsWith(TEXT.slice(0, TEXT.indexOf('# the shop') + 10)));
    assert.deepEqual(all.list, []);
    await all.accepted(next);
    assert.deepEqual(written, [[added, removed]]);
    assert.deepEqual(names(all.over(read(TEXT))), ['web-1', 'web-3']);
    assert.deepEqual(names(edits([added, removed]).all.over(read(TEXT))), ['web-1', 'web-3']);
  });

  it('end when the file says the same, or has no place for them', async () => {
    const { all, written } = edits([added, removed]);
    const caughtUp = TEXT.replace('web-2, address: 10.1.0.12', 'web-3, address: 10.1.0.13');
    const next = all.over(read(caughtUp));
    assert.equal(next.text, caughtUp);
    await all.accepted(next);
    assert.deepEqual(written, [[]]);
    const other = edits([added]).all;
    assert.deepEqual(names(other.over(read(TEXT.replace('name: web-2', 'name: web-3')))), ['web-1', 'web-3']);
    assert.deepEqual(
      other.over(read(TEXT.replaceAll(/\bweb:/g, 'shop:').replace('pool: web', 'pool: shop'))).edited?.edits,
      [],
    );
  });

  it('leave nothing behind when they take each other back', async () => {
    const { all } = edits();
    await all.accepted(all.and([added]));
    const back = all.and([{ kind: 'remove', pool: 'web', backend: 'web-3', since }]);
    assert.equal(back.text, TEXT);
    assert.deepEqual(back.edited?.edits, []);
    await all.accepted(all.and([removed]));
    const again: RuntimeEdit = { ...added, entry: { name: 'web-2', address: '10.1.0.22' } };
    assert.deepEqual(all.and([again]).edited?.edits, [added, removed, again]);
    assert.throws(() => edits().all.and([again]), /another backend web-2/);
  });

  it('go with a change that is taken back while it waits', async () => {
    const { all, written } = edits();
    await all.accepted(all.and([added, removed]));
    const pools = parse(TEXT).pools;
    assert.equal(await all.forgetUnlike(pools), true);
    assert.deepEqual(written.at(-1), []);
    assert.equal(await all.forgetUnlike(pools), false);
  });
});
