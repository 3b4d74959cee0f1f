/** The defence of a node around an engine: who takes cookies, what is told, and what outlives the process. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { AgentAnswer } from '#anyhop/agent/report.js';
import { ControlError } from '#anyhop/api/api.js';
import { L } from '#anyhop/core/layout.gen.js';
import type { Engine } from '#anyhop/engine/contract.js';
import { cookieKeyFingerprint, deriveCookieKey } from '#anyhop/hash/cookie-key.js';
import { render, TEXT_TYPE } from '#anyhop/metrics/render.js';
import { fixedPath } from '#anyhop/node/assemble.js';
import { NodeDefence } from '#anyhop/node/defence.js';
import { defenceTables } from '#anyhop/node/defence-metrics.js';
import { DefenceStore } from '#anyhop/node/defence-store.js';
import { parsePrefix } from '#anyhop/packet/address.js';
import { NODE, parse } from '../config/fixture.js';
import { keptLog } from '../defend/log.js';
import { assembleConfig } from './assembled.js';

const CONFIG = (defend: string): string => `${NODE}pools:
  web: {table_size: 251, backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}, {name: plain, address: 10.1.0.3, agent: false}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: web, defend: {mode: off}}
${defend}
`;
const RULES = 'syn_cookies: auto, source_rate: {packets: 50k, mode: observe}';
const DEFEND = `defend: {${RULES}}`;
const WITH_LIST = `defend: {${RULES}, block: [192.0.2.0/24]}`;
const KEY = cookieKeyFingerprint(deriveCookieKey(parse(CONFIG(''), 'run').node.key.reveal()));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'defence-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A node's defence, and the engine that it tells things. */
function bench(defend = DEFEND) {
  const { log, lines } = keptLog();
  let file = parse(CONFIG(defend), 'run');
  const guarded = new Float64Array(2 * L.GUARDED_KINDS);
  const published: (number | undefined)[] = [];
  let changes = 0;
  let isBroken = false;
  const engine = {
    counters: () => ({ services: new Float64Array(4) }),
    defence: {
      guarded: () => guarded.slice(),
      cookiesActive: () => [false, false],
      tune: () => undefined,
      publishLists: async (lists: Uint8Array | undefined) => {
        if (isBroken) throw new Error('no room');
        published.push(lists?.length);
      },
      heavySources: () => [
        { source: '198.51.100.7', service: undefined, packetsPerSecond: 9e4, dropped: 3 },
        { source: '2001:db8::/64', service: 0, packetsPerSecond: 50, dropped: 0 },
      ],
    },
  } as unknown as Engine;
  const defence = new NodeDefence({
    file: () => file,
    store: new DefenceStore(folder, 'edge-1', log),
    listsFile: join(folder, 'edge-1-lists.json'),
    changed: () => void changes++,
    force: false,
    log,
  });
  const assembly = () =>
    assembleConfig(file, file.node, {
      generation: 1,
      path: fixedPath(1500),
      takesCookies: defence.takesCookies,
    });
  return {
    defence,
    guarded,
    published,
    lines,
    assembly,
    /** As a node does it: the engine begins with the lists that are there. */
    async start() {
      await defence.prepare();
      const { lists } = defence;
      if (lists !== undefined) published.push(lists.length);
      await defence.start(engine, lists, assembly);
    },
    use(text: string) {
      file = parse(CONFIG(text), 'run');
      return defence.use(false);
    },
    break: () => {
      isBroken = true;
    },
    get changes() {
      return changes;
    },
    whyNot: () => defence.report().withoutCookies.map(({ backend, why }) => `${backend}: ${why}`),
  };
}

const says = (cookies: AgentAnswer['report']['cookies']): AgentAnswer =>
  ({ report: { cookies }, clockMs: Date.now() }) as AgentAnswer;
const OK = says({ ok: true, keys: [KEY] });

describe('the defence of a node', () => {
  it('knows which backends take cookies, and has images made anew when another does', async () => {
    const node = bench();
    await node.start();
    assert.deepEqual(node.whyNot(), [
      'a: its agent has not answered yet',
      'b: its agent has not answered yet',
      'plain: it has no agent (agent: false)',
    ]);
    node.defence.heard('10.1.0.1', OK);
    node.defence.heard('10.1.0.1', OK);
    node.defence.heard('10.1.0.2', says({ ok: false, why: 'net.ipv4.tcp_syncookies is 0' }));
    assert.equal(node.changes, 1);
    assert.deepEqual(node.whyNot(), [
      'b: net.ipv4.tcp_syncookies is 0',
      'plain: it has no agent (agent: false)',
    ]);
    await node.defence.close();
  });

  it('keeps that, and what is blocked at runtime, over a restart', async () => {
    const before = bench();
    await before.start();
    before.defence.heard('10.1.0.1', OK);
    const prefix = parsePrefix('198.51.100.0/24')!;
    const { changes, warnings } = await before.defence.list([prefix, prefix], 'block', {
      forMs: 600_000,
      why: 'scans',
    });
    assert.deepEqual(
      changes.map(({ effect, verdict }) => [effect, verdict]),
      [['added', 'block']],
    );
    assert.deepEqual(warnings, []);
    await before.defence.close();
    const after = bench();
    await after.start();
    assert.match(after.whyNot()[0], /^b: /);
    const [block] = after.defence.report().blocks;
    assert.deepEqual([block.prefix, block.why], [prefix.text, 'scans']);
    assert.equal((await after.defence.unlist([prefix])).changes[0].effect, 'removed');
    await after.defence.close();
  });

  it('starts anew with a file that it cannot use, and says so', async () => {
    writeFileSync(join(folder, 'edge-1-defence.json'), '{"version":1}');
    const node = bench();
    assert.deepEqual(
      node.lines.map(({ event }) => event),
      ['state_unusable'],
    );
    await node.start();
    await node.defence.close();
  });

  it('tells of rules, of what they did and would have done, of lists, and measures the same', async () => {
    const node = bench(WITH_LIST);
    await node.start();
    node.guarded[L.GUARDED_SYNS] = 7;
    node.guarded[L.GUARDED_BLOCKED] = 5;
    node.guarded[L.GUARDED_WOULD_SOURCE_RATE] = 3;
    const report = node.defence.report();
    assert.equal(report.mode, 'enforce');
    assert.deepEqual(
      report.services.map(({ name }) => name),
      ['web'],
    );
    const [{ counts, sourceRate, cookies, threshold }] = report.services;
    assert.deepEqual(
      [counts.syns, counts.blocked, counts.sourceRate],
      [7, { did: 5, would: 0 }, { did: 0, would: 3 }],
    );
    assert.deepEqual(
      [sourceRate?.packets, sourceRate?.syn, sourceRate?.mode],
      [50_000, undefined, 'observe'],
    );
    assert.deepEqual([cookies?.state, threshold], ['idle', 1000]);
    assert.deepEqual([report.lists.block.prefixes4, report.lists.allow.prefixes4], [1, 0]);
    assert.deepEqual(node.defence.top().sources, [
      { source: '198.51.100.7', packetsPerSecond: 9e4, dropped: 3 },
      { source: '2001:db8::/64', packetsPerSecond: 50, dropped: 0, scope: 'web' },
    ]);
    assert.deepEqual(node.defence.summary()?.lists, { allow: 0, block: 1, problems: [] });
    node.guarded[L.GUARDED_COOKIES] = 11;
    node.defence.heard('10.1.0.1', OK);
    const text = await render(defenceTables(node.defence.measures()!), TEXT_TYPE);
    for (const line of [
      'anyhop_defend_packets_total{service="web",rule="syn_cookies",effect="did"} 11',
      'anyhop_defend_threshold_syns_per_second{service="web"} 1000',
      'anyhop_defend_attack{service="web",kind="syn_flood"} 0',
      'anyhop_defend_list_prefixes{list="block",family="ipv4"} 1',
      'anyhop_defend_backend_takes_cookies{pool="web",backend="a"} 1',
      'anyhop_defend_backend_takes_cookies{pool="web",backend="b"} 0',
    ])
      assert.ok(text.includes(line), `${line}\n${text}`);
    assert.doesNotMatch(text, /dns/);
    await node.defence.close();
  });

  it('refuses to list what no service looks at, and costs nothing without rules', async () => {
    for (const defend of ['', 'defend: {mode: off}']) {
      const node = bench(defend);
      await node.start();
      assert.equal(node.defence.summary(), undefined);
      assert.deepEqual(node.defence.report().services, []);
      await assert.rejects(
        node.defence.list([parsePrefix('::1')!], 'block', {}),
        (error) => error instanceof ControlError && error.status === 409 && error.code === 'ERR_DEFEND_OFF',
      );
      assert.equal(node.assembly().image.words[L.HEADER_RULES_OFFSET / 4], 0);
      await node.defence.close();
    }
  });

  it('follows another config: lists, rules and the key of cookies', async () => {
    const node = bench(WITH_LIST);
    await node.start();
    node.defence.heard('10.1.0.1', OK);
    assert.ok(node.published.at(-1)! > 0);
    await node.use('defend: {syn_cookies: auto}');
    assert.equal(node.published.at(-1), undefined);
    const key = join(folder, 'cookie.key');
    writeFileSync(key, 'ab'.repeat(16), { mode: 0o600 });
    await node.use(`defend: {syn_cookies: auto, cookie_key_file: ${key}}`);
    assert.match(node.whyNot()[0], /^a: its agent has another key/);
    await node.use('');
    assert.equal(node.defence.summary(), undefined);
    await node.defence.close();
  });

  it('has its engine begin with its lists, and publishes none to one that has nothing else', async () => {
    const node = bench(WITH_LIST);
    await node.start();
    assert.equal(node.published.length, 1);
    await node.defence.close();
    const none = bench();
    await none.start();
    assert.deepEqual(none.published, [undefined], 'what a former process left is not its own');
    await none.defence.close();
  });

  it('tells what is wrong with its lists in its report, in the status, when it is reloaded, and measures it', async () => {
    const node = bench(`defend: {${RULES}, block: [{file: ${join(folder, 'none.txt')}}]}`);
    await node.start();
    const problem = `${join(folder, 'none.txt')}: it does not exist`;
    assert.equal(node.defence.report().lists.block.sources[0].problem, problem);
    assert.deepEqual(node.defence.summary()?.lists.problems, [problem]);
    assert.deepEqual(await node.use(`defend: {${RULES}, block: [{file: ${join(folder, 'none.txt')}}]}`), [
      problem,
    ]);
    node.break();
    const broken = '192.0.2.0/24';
    await assert.rejects(node.defence.list([parsePrefix(broken)!], 'block', {}), /not in force yet: no room/);
    assert.equal(node.defence.report().lists.problem, 'no room');
    assert.match(
      node.defence.summary()!.lists.problems[0],
      /^the lists cannot be put in force, .*: no room$/,
    );
    const text = await render(defenceTables(node.defence.measures()!), TEXT_TYPE);
    assert.match(text, /^anyhop_defend_lists_failed 1$/m);
    await node.defence.close();
  });

  it('asks an engine that ends nothing more, and still keeps what it has learnt', async () => {
    const node = bench();
    await node.start();
    node.defence.heard('10.1.0.1', OK);
    node.defence.end();
    node.defence.tick();
    assert.equal(node.defence.summary(), undefined);
    assert.equal(node.defence.measures(), undefined);
    assert.throws(() => node.defence.report(), { code: 'ERR_ENDING', status: 503 });
    await node.defence.close();
    assert.match(readFileSync(join(folder, 'edge-1-defence.json'), 'utf8'), /10\.1\.0\.1/);
  });
});
