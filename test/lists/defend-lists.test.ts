/** The lists of a node: its config, files that change, and what is said at runtime, until that is published. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ListSource } from '#anyhop/config/defend/types.js';
import { L } from '#anyhop/core/layout.gen.js';
import type { Logger } from '#anyhop/core/log.js';
import { Lists } from '#anyhop/forward/lists.js';
import { DefendLists, type DefendListsOptions, type ListsConfig } from '#anyhop/lists/defend-lists.js';
import { type IpPrefix, parsePrefix } from '#anyhop/packet/address.js';

const prefix = (text: string) => parsePrefix(text)!;
const HOUR_MS = 3_600_000;

let directory: string;
let opened: DefendLists[];
let log: string[];
let published: number;
let inForce: Lists | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'anyhop-lists-'));
  opened = [];
  log = [];
  published = 0;
  inForce = undefined;
});

afterEach(async () => {
  for (const lists of opened) await lists.close();
  rmSync(directory, { recursive: true });
});

const say = ({ event }: { event: string }, text: string): void => void log.push(`${event}: ${text}`);

function open(options: Partial<DefendListsOptions> = {}): DefendLists {
  const lists = new DefendLists({
    log: { info: say, warn: say, error: say } as unknown as Logger,
    file: join(directory, 'state', 'edge-1-lists.json'),
    publish: async (compiled) => {
      published++;
      inForce = compiled && new Lists(compiled.buffer);
      return true;
    },
    ...options,
  });
  opened.push(lists);
  return lists;
}

const path = (name: string): string => join(directory, name);
const file = (name: string, reloadMs = HOUR_MS): ListSource => ({ kind: 'file', path: path(name), reloadMs });
const one = (text: string): ListSource => ({ kind: 'prefix', prefix: prefix(text) });
const config = (lists: Partial<ListsConfig>): ListsConfig => ({
  allow: [],
  block: [],
  maxShrink: 0.5,
  ...lists,
});

/** What is said of an IPv4 address. */
function said(address: string): string {
  const { bytes } = prefix(address).address;
  const word = new DataView(bytes.buffer).getUint32(0);
  return ['none', 'block', 'allow'][inForce?.of4(word) ?? L.LISTED_NONE];
}

async function until(what: () => boolean, why: string): Promise<void> {
  for (const startMs = Date.now(); !what(); ) {
    assert.ok(Date.now() - startMs < 10_000, `${why}\n${log.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('the lists of a node', () => {
  it('are the prefixes of its config and of its files, in one piece', async () => {
    writeFileSync(path('block.txt'), '198.51.100.0/24\n2001:db8::/32\n');
    const lists = open();
    await lists.use(
      config({ allow: [one('198.51.100.7')], block: [one('203.0.113.0/24'), file('block.txt')] }),
    );
    assert.equal(published, 1);
    assert.deepEqual(['198.51.100.9', '198.51.100.7', '203.0.113.1', '192.0.2.1'].map(said), [
      'block',
      'allow',
      'block',
      'none',
    ]);
    const { block, allow, bytes } = lists.status();
    assert.deepEqual([allow.prefixes4, block.prefixes4, block.prefixes6], [1, 2, 1]);
    assert.deepEqual(
      block.sources.map(({ from, prefixes }) => [from, prefixes]),
      [
        ['203.0.113.0/24', 1],
        [path('block.txt'), 2],
      ],
    );
    assert.match(block.sources[1].loadedAt!, /^\d{4}-/);
    assert.ok(bytes > 5_000_000);
    await lists.use(
      config({ allow: [one('198.51.100.7')], block: [one('203.0.113.0/24'), file('block.txt')] }),
    );
    assert.equal(published, 1, 'nothing has changed');
    await lists.use(undefined);
    assert.equal(inForce, undefined);
    assert.equal(lists.status().bytes, 0);
  });

  it('follow a file that is written, and one that another takes the place of', async () => {
    writeFileSync(path('block.txt'), '10.0.0.0/8\n');
    const lists = open();
    await lists.use(config({ block: [file('block.txt')] }));
    writeFileSync(path('block.txt'), '11.0.0.0/8\n');
    await until(() => said('11.0.0.1') === 'block', 'the new text is not in force');
    assert.equal(said('10.0.0.1'), 'none');
    writeFileSync(path('next.txt'), '12.0.0.0/8\n');
    renameSync(path('next.txt'), path('block.txt'));
    await until(() => said('12.0.0.1') === 'block', 'the new file is not in force');
  });

  it('look at a file in its interval too, where nothing tells of a change', async () => {
    const lists = open();
    mkdirSync(path('sub'));
    await lists.use(config({ block: [file('sub/block.txt', 50)] }));
    rmSync(path('sub'), { recursive: true });
    mkdirSync(path('sub'));
    writeFileSync(path('sub/block.txt'), '10.0.0.0/8\n');
    await until(() => said('10.0.0.1') === 'block', 'the file is not in force');
    writeFileSync(path('sub/block.txt'), '11.0.0.0/8\n');
    await until(() => said('11.0.0.1') === 'block', 'the next file is not in force');
  });

  it('keep what was read of a file that turns wrong, unreadable or far smaller, and say so once', async () => {
    writeFileSync(path('block.txt'), '10.0.0.0/8\n11.0.0.0/8\n12.0.0.0/8\n');
    const lists = open();
    const now = config({ block: [file('block.txt', 50)] });
    await lists.use(now);
    const problem = (): string | undefined => lists.status().block.sources[0].problem;
    const holds = async (pattern: RegExp, why: string): Promise<void> => {
      await until(() => pattern.test(problem() ?? ''), why);
      await lists.use(now);
      assert.equal(said('12.0.0.1'), 'block');
      assert.equal(
        log.filter((line) => line.startsWith('list_refused') && pattern.test(line)).length,
        1,
        log.join('\n'),
      );
    };
    writeFileSync(path('block.txt'), '10.0.0.0/8\n10.0.0.9/8\n12.0.0.0/8\n');
    await holds(/block\.txt:2: found "10\.0\.0\.9\/8"; expected/, 'a wrong line is not told');
    rmSync(path('block.txt'));
    await holds(/block\.txt: it does not exist/, 'that the file is gone is not told');
    mkdirSync(path('block.txt'));
    await holds(/found no regular file/, 'a directory is not told');
    rmSync(path('block.txt'), { recursive: true });
    writeFileSync(path('block.txt'), '10.0.0.0/8\n');
    await holds(
      /found 1 prefixes where there were 3; defend\.max_shrink lets go of 50 % at most/,
      'a small file is not told',
    );
    await lists.use(now, true);
    assert.equal(said('12.0.0.1'), 'none');
    assert.equal(problem(), undefined);
  });

  it('begin without a file that was never good, and take it when it is', async () => {
    const lists = open();
    await lists.use(config({ block: [file('block.txt'), one('10.0.0.0/8')] }));
    assert.equal(said('10.0.0.1'), 'block');
    assert.match(
      log.join('\n'),
      /list_refused: defend\.block: nothing of it is in force, since .*block\.txt: it does not exist/,
    );
    writeFileSync(path('block.txt'), '11.0.0.0/8\n');
    await until(() => said('11.0.0.1') === 'block', 'the file is not in force');
    assert.equal(lists.status().block.sources.find(({ from }) => from.endsWith('.txt'))?.problem, undefined);
  });

  it('have prefixes that are blocked at runtime until then, also in the next process', async () => {
    let nowMs = Date.parse('2026-11-30T12:00:00Z');
    const now = (): number => nowMs;
    const lists = open({ now });
    await lists.use(config({ block: [one('203.0.113.0/24')] }));
    assert.deepEqual(
      await lists.list([prefix('198.51.100.0/24')], 'block', { forMs: 600_000, why: 'scans' }),
      [
        {
          prefix: '198.51.100.0/24',
          effect: 'added',
          verdict: 'block',
          until: '2026-11-30T12:10:00.000Z',
        },
      ],
    );
    const allowed = async () => (await lists.list([prefix('203.0.113.9')], 'allow'))[0].effect;
    assert.deepEqual([await allowed(), await allowed()], ['added', 'unchanged']);
    assert.deepEqual(['198.51.100.1', '203.0.113.9', '203.0.113.8'].map(said), ['block', 'allow', 'block']);
    await lists.close();

    inForce = undefined;
    const next = open({ now });
    await next.use(config({}));
    assert.deepEqual(
      next.entries().map(({ prefix: text, verdict, why }) => [text, verdict, why]),
      [
        ['198.51.100.0/24', 'block', 'scans'],
        ['203.0.113.9/32', 'allow', undefined],
      ],
    );
    assert.equal(said('198.51.100.1'), 'block');
    for (const effect of ['removed', 'unchanged'])
      assert.deepEqual(await next.unlist([prefix('203.0.113.9')]), [{ prefix: '203.0.113.9/32', effect }]);
    await next.close();

    nowMs += 600_000;
    const last = open({ now });
    await last.use(config({}));
    await until(() => last.entries().length === 0, 'the entry does not end');
    await until(() => said('198.51.100.1') === 'none', 'the entry is in force after its end');
    await last.close();
    assert.doesNotMatch(readFileSync(path('state/edge-1-lists.json'), 'utf8'), /198\.51/);
  });

  it('take hundreds of blocks at once in a few rounds', async () => {
    const lists = open();
    await lists.use(config({}));
    const before = published;
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => lists.list([prefix(`10.1.${i >> 8}.${i & 255}`)], 'block')),
    );
    assert.equal(said('10.1.1.43'), 'block');
    assert.ok(published - before <= 3, `${published - before} rounds`);
  });

  it('say when they cannot be published, and what is in force is what was', async () => {
    let isBroken = true;
    const lists = open({
      publish: async (compiled) => {
        if (isBroken) throw new Error('no room');
        inForce = compiled && new Lists(compiled.buffer);
        return true;
      },
    });
    await lists.use(config({ block: [one('10.0.0.0/8')] }));
    await assert.rejects(lists.list([prefix('11.0.0.0/8')], 'block'), /no room/);
    assert.deepEqual(
      log.filter((line) => /^lists_failed: .*no room/.test(line)).length,
      1,
      'once, however often it is tried',
    );
    assert.equal(lists.status().problem, 'no room');
    isBroken = false;
    await lists.list([prefix('12.0.0.0/8')], 'block');
    assert.equal(lists.status().problem, undefined);
    assert.deepEqual(['10.0.0.1', '11.0.0.1', '12.0.0.1'].map(said), ['block', 'block', 'block']);
  });

  it('take all of a request or nothing, and no more than a node keeps', async () => {
    const lists = open();
    await lists.use(config({}));
    const many = (net: number): IpPrefix[] =>
      Array.from({ length: 6000 }, (_, i) => prefix(`10.${net}.${i >> 8}.${i & 255}`));
    await lists.list(many(1), 'block');
    await assert.rejects(lists.list(many(2), 'block'), /12000 prefixes would be .*; 10000 can be/);
    assert.equal(lists.entries().length, 6000);
    await lists.list(many(1), 'allow');
    assert.deepEqual(['10.1.0.1', '10.2.0.1'].map(said), ['allow', 'none']);
    await lists.unlist(many(1));
    assert.equal(lists.entries().length, 0);
  });

  it('go on in the next process with what was good of a file that has turned bad, and then notice what it lost', async () => {
    const text = '10.0.0.0/8\n11.0.0.0/8\n2001:db8::/32\n';
    const now = config({ block: [file('block.txt')] });
    writeFileSync(path('block.txt'), text);
    const first = open();
    await first.use(now);
    const { loadedAt } = first.status().block.sources[0];
    await first.close();
    for (const [spoil, problem] of [
      [() => rmSync(path('block.txt')), /it does not exist/],
      [() => writeFileSync(path('block.txt'), 'evil\n'), /block\.txt:1: found "evil"/],
      [() => writeFileSync(path('block.txt'), '10.0.0.0/8\n'), /found 1 prefixes where there were 3/],
    ] as const) {
      spoil();
      [inForce, log] = [undefined, []];
      const next = open();
      await next.use(now);
      assert.deepEqual(['10.0.0.1', '11.0.0.1', '12.0.0.1'].map(said), ['block', 'block', 'none']);
      const { block } = next.status();
      assert.deepEqual([block.prefixes4, block.prefixes6, block.sources[0].loadedAt], [2, 1, loadedAt]);
      assert.match(block.sources[0].problem!, problem);
      assert.match(
        log.join('\n'),
        /^list_refused: defend\.block: what it had at .* stays in force \(prefixes: 3\), since /m,
      );
      await next.close();
    }
    const forced = open();
    await forced.use(now, true);
    assert.deepEqual(['10.0.0.1', '11.0.0.1'].map(said), ['block', 'none']);
  });

  it('keep what was read of a file as long as the config names it, and nothing that is damaged', async () => {
    const kept = (): string[] => readdirSync(path('state')).filter((name) => name.endsWith('.bin'));
    for (const name of ['block.txt', 'other.txt']) writeFileSync(path(name), '10.0.0.0/8\n');
    const lists = open();
    await lists.use(config({ block: [file('block.txt'), file('other.txt')] }));
    assert.equal(kept().length, 2);
    await lists.use(config({ block: [file('block.txt')] }));
    assert.equal(kept().length, 1);
    await lists.close();
    const damaged = join(path('state'), kept()[0]);
    const bytes = readFileSync(damaged);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(damaged, bytes);
    rmSync(path('block.txt'));
    inForce = undefined;
    const next = open();
    await next.use(config({ block: [file('block.txt')] }));
    assert.equal(said('10.0.0.1'), 'none');
    assert.match(
      log.join('\n'),
      /state_unusable: .*\.bin: it is damaged; what was in force of .*block\.txt /,
    );
  });

  it('say when what was read cannot be kept, and are in force all the same', async () => {
    writeFileSync(path('block.txt'), '10.0.0.0/8\n');
    writeFileSync(path('state'), 'no directory');
    const lists = open();
    await lists.use(config({ block: [file('block.txt')] }));
    assert.equal(said('10.0.0.1'), 'block');
    assert.match(log.join('\n'), /state_not_kept: what was read of lists will not survive a restart: /);
    await lists.list([prefix('11.0.0.0/8')], 'block');
    assert.match(lists.unkept!, /./);
  });

  it('wait for the end of a last line that may be cut off', async () => {
    writeFileSync(path('block.txt'), '10.0.0.0/8\n128.0.0.0/2');
    const lists = open();
    const read = lists.use(config({ block: [file('block.txt')] }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    appendFileSync(path('block.txt'), '4\n');
    await read;
    assert.deepEqual(['10.0.0.1', '128.0.0.1', '129.0.0.1'].map(said), ['block', 'block', 'none']);
  });

  it('do not publish a file anew that says what it said', async () => {
    writeFileSync(path('block.txt'), '10.0.0.0/8\n');
    const lists = open();
    const now = config({ block: [file('block.txt')] });
    await lists.use(now);
    const { loadedAt } = lists.status().block.sources[0];
    writeFileSync(path('block.txt'), '10.0.0.0/8 # again\n');
    await lists.use(now);
    assert.notEqual(lists.status().block.sources[0].loadedAt, loadedAt);
    assert.equal(published, 1);
  });

  it('begin without a file of the state directory that is damaged', async () => {
    mkdirSync(path('state'));
    writeFileSync(path('state/edge-1-lists.json'), '{"version":1,"entries":[{"prefix":"10.0.0.1/8"}]}');
    const lists = open();
    await lists.use(config({ block: [one('10.0.0.0/8')] }));
    assert.match(log.join('\n'), /state_unusable/);
    assert.equal(said('10.0.0.1'), 'block');
  });
});
