/** What `anyhop defend` says of a node's answers: attacks first, each rule in words, and what no rule can do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BlockChange } from '#anyhop/api/defend.js';
import { drawChanges, whereItHolds } from '#anyhop/cli/defend-change.js';
import { drawDefend } from '#anyhop/cli/defend-status-text.js';
import { drawDefendTop } from '#anyhop/cli/defend-top.js';
import { attack, defendCounts, defendedService, defendReport } from '../node/defend-report.js';

const NOW = new Date('2024-05-01T12:05:00.000Z');
const at = (time: string): string => `2024-05-01T${time}.000Z`;

describe('the status of a defence', () => {
  it('says of each rule its mode, its limit, and what it did', () => {
    const counts = defendCounts({
      blocked: { did: 1204, would: 0 },
      sourceRate: { did: 0, would: 55 },
      cookies: { did: 734_000, would: 0 },
      synLimited: { did: 12, would: 0 },
      allowed: 40,
    });
    const cookies = { mode: 'enforce', when: 'auto', state: 'active', since: at('12:04:10') } as const;
    const text = drawDefend(
      defendReport({ services: [defendedService('web', { counts, cookies })] }),
      undefined,
      NOW,
    );
    assert.match(text, /^mode {3}enforce: rules drop\n/);
    assert.match(text, /\nservice web: 812 SYNs\/s, norm 790, 40 packets of allowed sources\n/);
    assert.match(text, /\nlists +enforce +what the lists block +dropped 1\.2k packets\n/);
    assert.match(
      text,
      /\nsource rate +observe +an address \(IPv6: a \/64\) may send 50k packets and 500 SYNs in 1s +would have dropped 55 packets\n/,
    );
    assert.match(text, /\nservice rate +enforce +200k SYNs in 1s pass to the backends +nothing\n/);
    assert.match(
      text,
      /\nSYN cookies +enforce +above 3\.16k SYNs\/s: ACTIVE since .* answered 734k SYNs; beyond the cap dropped 12 packets\n/,
    );
  });

  it('tells services with the same rules together, as long as nothing has happened to them', () => {
    const hit = defendCounts({ blocked: { did: 1, would: 0 } });
    const services = ['a', 'b', 'c'].map((name) =>
      defendedService(name, name === 'b' ? { counts: hit } : {}),
    );
    const heads = drawDefend(defendReport({ services }), undefined, NOW).match(/^services? [abc].*/gm);
    assert.deepEqual(heads, ['services a, c', 'service b: 812 SYNs/s, norm 790']);
  });

  it('has rates by two answers, and none below zero when counters began again', () => {
    const before = defendReport({
      services: [defendedService('web', { counts: defendCounts({ blocked: { did: 100, would: 900 } }) })],
    });
    const after = defendReport({
      services: [defendedService('web', { counts: defendCounts({ blocked: { did: 350, would: 10 } }) })],
    });
    assert.match(
      drawDefend(after, { report: before, agoMs: 500 }, NOW),
      /dropped 350 packets, 500\/s; would have dropped 10 packets, 0\/s\n/,
    );
  });

  it('says first under which attacks a service is, and last which have ended', () => {
    const attacks = [
      attack({ since: at('12:04:10') }),
      attack({ kind: 'source_rate', mode: 'observe', since: at('11:50:00'), until: at('12:00:00') }),
    ];
    const lines = drawDefend(defendReport({ attacks }), undefined, NOW).trimEnd().split('\n');
    assert.match(
      lines[1]!,
      /^UNDER ATTACK +web: SYN flood for 50 s, 61\.2k\/s now, 80\.3k\/s at most, 734k packets$/,
    );
    assert.match(lines.at(-1)!, / web +.* 80\.3k +734k +sources above their limit, only counted$/);
  });

  it('names lists that were not read anew, and what of them is in force', () => {
    const lists = defendReport().lists;
    const [source] = lists.block.sources;
    const sources = [
      { ...source!, problem: '/etc/anyhop/block.txt:3: found "x"\n/etc/anyhop/block.txt:9: found "y"' },
      { from: '/etc/anyhop/new.txt', prefixes: 0, problem: '/etc/anyhop/new.txt: it does not exist' },
    ];
    const text = drawDefend(
      defendReport({ lists: { ...lists, block: { ...lists.block, sources } } }),
      undefined,
      NOW,
    );
    assert.match(
      text,
      /LIST NOT READ +\/etc\/anyhop\/block\.txt:3: found "x"\n +\/etc\/anyhop\/block\.txt:9: found "y"; what it had at .* stays in force \(prefixes: 999812\)\n/,
    );
    assert.match(
      text,
      /LIST NOT READ +\/etc\/anyhop\/new\.txt: it does not exist; nothing of it is in force\n/,
    );
    assert.match(text, /^block +\/etc\/anyhop\/new\.txt +0 +never$/m);
  });

  it('says when lists are not in force at all', () => {
    const lists = { ...defendReport().lists, problem: 'no memory' };
    assert.match(
      drawDefend(defendReport({ lists }), undefined, NOW),
      /\nLISTS NOT IN FORCE +no memory; the former ones stay, and it is tried again\n/,
    );
  });

  it('shows what was blocked at runtime with the time that is left, and who cannot take cookies', () => {
    const text = drawDefend(
      defendReport({
        blocks: [
          {
            prefix: '198.51.100.0/24',
            verdict: 'block',
            since: at('12:04:00'),
            until: at('12:14:00'),
            why: 'a\nb',
          },
          { prefix: '192.0.2.7/32', verdict: 'allow', since: at('12:00:00') },
        ],
        withoutCookies: ['web-3', 'web-4'].map((backend) => ({
          pool: 'web',
          backend,
          why: 'tcp_syncookies is 0',
        })),
      }),
      undefined,
      NOW,
    );
    assert.match(
      text,
      /\n198\.51\.100\.0\/24 +block +\S.* 9 min +a\\nb\n192\.0\.2\.7\/32 +allow +\S.* no end\n/,
    );
    assert.match(text, /\nlists +blocked prefixes: .* and 0 of IPv6, and 2 at runtime, 13\.2MB\n/);
    assert.match(text, /\npool web: NO SYN COOKIES for web-3, web-4: tcp_syncookies is 0\n/);
  });

  it('of a node that defends nothing, says why', () => {
    const lists = {
      allow: { prefixes4: 0, prefixes6: 0, sources: [] },
      block: { prefixes4: 0, prefixes6: 0, sources: [] },
      bytes: 0,
    };
    assert.match(drawDefend(defendReport({ mode: 'off', services: [], lists })), /^nothing is defended: /);
  });
});

describe('the heavy sources', () => {
  const nothing = { report: { sources: [] }, agoMs: 1000 };
  const source = { source: '198.51.100.7', packetsPerSecond: 500, dropped: 8000 };

  it('are shown by all that they send, what is above their limit included, so many as were asked for', () => {
    const sources = [
      { source: '192.0.2.1', packetsPerSecond: 900, dropped: 0 },
      { ...source, source: '2001:db8:1:2::/64', scope: 'web' },
      source,
    ];
    const earlier = { report: { sources: [{ ...source, dropped: 2000 }] }, agoMs: 500 };
    assert.equal(
      drawDefendTop({ sources }, 2, earlier),
      'SOURCE             PACKETS/S  ABOVE LIMIT/S  COUNTED FOR\n' +
        '2001:db8:1:2::/64      16.5k            16k  web\n' +
        '198.51.100.7           12.5k            12k  all services\n' +
        'and 1 more\n',
    );
  });

  it('are none where nobody sends much, and none sends less than nothing when it was forgotten in between', () => {
    assert.match(drawDefendTop({ sources: [] }, 2, nothing), /^no source is known: /);
    const forgotten = { report: { sources: [{ ...source, dropped: 9000 }] }, agoMs: 1000 };
    assert.match(drawDefendTop({ sources: [source] }, 2, forgotten), /\n198\.51\.100\.7 +500 +0 /);
  });
});

describe('what block, allow and unblock say', () => {
  const became = (changes: readonly BlockChange[]) => ({ changes, warnings: [] });

  it('is until when, and what was so before', () => {
    assert.equal(
      drawChanges(
        'block',
        became([
          { prefix: '198.51.100.0/24', effect: 'added', verdict: 'block', until: at('12:15:00') },
          { prefix: '192.0.2.7/32', effect: 'unchanged', verdict: 'block' },
        ]),
        NOW,
      ).replaceAll(/\d\d:15:00/g, 'THEN'),
      '198.51.100.0/24 is blocked until THEN\n192.0.2.7/32 is blocked already, until it is unblocked\n',
    );
    assert.equal(
      drawChanges(
        'unblock',
        became([
          { prefix: '192.0.2.7/32', effect: 'removed' },
          { prefix: '192.0.2.8/32', effect: 'unchanged' },
        ]),
        NOW,
      ),
      '192.0.2.7/32 is no longer on the list of this node\n192.0.2.8/32 was neither blocked nor allowed at runtime; lists of the config file stay as they are\n',
    );
  });

  it('is the first twenty of many', () => {
    const changes = Array.from({ length: 1000 }, (_, i) => ({
      prefix: `192.0.2.${i}/32`,
      effect: 'added' as const,
    }));
    const lines = drawChanges('allow', became(changes), NOW).trimEnd().split('\n');
    assert.deepEqual(
      [lines.length, lines[0], lines.at(-1)],
      [21, '192.0.2.0/32 is allowed until it is unblocked', 'and 980 more'],
    );
  });

  it('names services that the lists do nothing for', () => {
    const [enforce, observe, off] = (['enforce', 'observe', 'off'] as const).map((lists) =>
      defendedService(lists, { lists }),
    );
    const says = (...services: (typeof enforce)[]): string =>
      whereItHolds(defendReport({ services: services.map((each) => each!) }));
    assert.equal(says(enforce), '');
    assert.equal(says(observe), 'in mode observe: what it would drop is counted, and passes\n');
    assert.equal(
      says(enforce, observe),
      'in mode observe for observe: what it would drop is counted, and passes\n',
    );
    assert.match(says(off), /^no service of this node uses the lists: nothing is dropped\n/);
  });
});
