/** The sections `defend`: what holds for a service, what is refused and where, and what is allowed and likely a mistake. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { after, describe, it } from 'node:test';
import type { DefendRules } from '#anyhop/config/defend/types.js';
import { loadConfig } from '#anyhop/config/load.js';
import { join, NODE, parse, placeOf, problemsOf, unmark } from './fixture.js';

/** Two services of one pool, and one over UDP. @param own of the service `web`, @param pool of its pool */
function config(defend: string, { own = '', pool = '' } = {}): string {
  const comma = (text: string): string => (text === '' ? '' : `, defend: {${text}}`);
  return join({
    node: `${NODE}${defend}`,
    pools: `pools:
  web: {backends: [{name: web-1, address: 10.1.0.11}]${comma(pool)}}
  plain: {backends: [{name: p, address: 10.1.0.12, agent: false}]}
`,
    services: `services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web${comma(own)}}
  - {name: web-2, vip: 203.0.113.10, protocol: tcp, port: 81, pool: web}
  - {name: dns, vip: 203.0.113.53, protocol: udp, port: 53, pool: plain}
`,
  });
}

function rulesOf(text: string, service = 'web'): DefendRules | undefined {
  return parse(text).defend?.rules.get(service);
}

const folder = mkdtempSync(joinPath(tmpdir(), 'defend-'));
after(() => rmSync(folder, { recursive: true }));

describe('the rules of a service', () => {
  it('are none without a section defend', () => assert.equal(parse(join({})).defend, undefined));

  it('have the defaults: enforced, a window of a second, an address or a /64, sources counted for the node', () => {
    assert.deepEqual(
      rulesOf(config('defend: {source_rate: {packets: 50k, syn: 500}, service_rate: {syn: 1M}}\n')),
      {
        lists: 'enforce',
        sourceRate: {
          mode: 'enforce',
          packets: 50_000,
          syn: 500,
          perMs: 1000,
          prefix4: 32,
          prefix6: 64,
          network: undefined,
        },
        serviceRate: { mode: 'enforce', syn: 1_000_000, perMs: 1000 },
        synCookies: undefined,
        ownSources: false,
      },
    );
  });

  it('are of the nearest section, field by field', () => {
    const text = config('defend: {source_rate: {syn: 500}, service_rate: {syn: 1k}, syn_cookies: auto}\n', {
      pool: 'service_rate: {syn: 2k}, syn_cookies: off',
      own: 'source_rate: {packets: 9}',
    });
    const rules = rulesOf(text)!;
    assert.equal(rules.sourceRate?.packets, 9);
    assert.equal(rules.sourceRate?.syn, undefined);
    assert.ok(rules.ownSources);
    assert.equal(rules.serviceRate?.syn, 2000);
    assert.equal(rules.synCookies, undefined);
    assert.ok(!rulesOf(text, 'web-2')!.ownSources);
  });

  it('have the nearest mode, and the own mode of a rule before that of its section', () => {
    const node = 'defend: {mode: observe, source_rate: {syn: 500, mode: enforce}, syn_cookies: auto}\n';
    const mode = (text: string, service?: string) => {
      const { lists, sourceRate, synCookies } = rulesOf(text, service) ?? {};
      return [lists, sourceRate?.mode, synCookies?.mode];
    };
    assert.deepEqual(mode(config(node)), ['observe', 'enforce', 'observe']);
    assert.deepEqual(mode(config(node, { own: 'mode: observe' })), ['observe', 'observe', 'observe']);
    assert.deepEqual(mode(config(node, { pool: 'mode: enforce' })), ['enforce', 'enforce', 'enforce']);
    assert.deepEqual(mode(config(node, { own: 'mode: off, syn_cookies: {when: always, mode: observe}' })), [
      'off',
      undefined,
      'observe',
    ]);
    assert.deepEqual(mode(config(node, { own: 'mode: off' })), [undefined, undefined, undefined]);
  });

  it('leave out what counts SYNs for a UDP service', () => {
    const rules = rulesOf(config('defend: {service_rate: {syn: 1k}, syn_cookies: always}\n'), 'dns');
    assert.deepEqual([rules?.serviceRate, rules?.synCookies], [undefined, undefined]);
  });

  it('hold for one service alone when nothing is said of the node', () => {
    const { defend } = parse(config('', { own: 'mode: observe, syn_cookies: auto' }));
    assert.deepEqual(rulesOf(config('', { own: 'mode: observe, syn_cookies: auto' }))?.synCookies, {
      mode: 'observe',
      when: 'auto',
    });
    assert.equal(defend!.mode, 'off');
    assert.deepEqual([...defend!.rules.keys()], ['web']);
  });

  it('take networks as sources, and a total by network beside addresses', () => {
    const by = rulesOf(config('defend: {source_rate: {syn: 9, by: network}}\n'))!.sourceRate!;
    assert.deepEqual([by.prefix4, by.prefix6], [24, 48]);
    const own = rulesOf(config('defend: {source_rate: {syn: 9, prefix4: 28, network: {syn: 5k}}}\n'))!
      .sourceRate!;
    assert.deepEqual([own.prefix4, own.prefix6, own.network], [28, 64, { packets: undefined, syn: 5000 }]);
  });
});

const REFUSED: readonly (readonly [title: string, text: string, message: RegExp])[] = [
  [
    'a source_rate without a limit',
    config('defend: {source_rate: ^{per: 1s}}\n'),
    /^found no limit; expected one of packets, syn, network, or mode: off$/,
  ],
  [
    'a service_rate without a limit',
    config('defend: {service_rate: ^{per: 1s}}\n'),
    /^missing; expected what the backends can take/,
  ],
  [
    'windows of sources that differ',
    config('defend: {source_rate: {syn: 500, per: 2s}}\n', { own: 'source_rate: {syn: 5, per: ^3s}' }),
    /^found 3s; expected 2s as in line 7: all source_rate of a file have one window$/,
  ],
  [
    'a total by network of sources that are networks',
    config('defend: {source_rate: {syn: 9, by: network, ^network: {syn: 9}}}\n'),
    /^found with by: network/,
  ],
  [
    'a number that is none',
    config('defend: {source_rate: {syn: ^5kk}}\n'),
    /^found "5kk"; expected a number of packets, 1 to 16000000, also with k \(1000\) or M$/,
  ],
  [
    'a prefix with bits behind its length',
    config('defend: {block: [^192.0.2.1/24]}\n'),
    /no bit set behind its length; or a mapping \{file: PATH\}$/,
  ],
  ['a list that is none', config('defend: {block: ^all}\n'), /expected a list of prefixes and files/],
  [
    'cookies at odd times',
    config('defend: {syn_cookies: ^{when: auto, mod: observe}}\n'),
    /^found a mapping; expected off, auto or always, or a mapping/,
  ],
];

describe('a wrong section defend', () => {
  for (const [title, marked, message] of REFUSED) {
    it(`is refused at its place: ${title}`, () => {
      const { text, places } = unmark(marked);
      const problems = problemsOf(text);
      assert.deepEqual(problems.map(placeOf), places, JSON.stringify(problems));
      assert.match(problems[0].message, message);
    });
  }

  it('is refused where it asks for TCP of a UDP service', () => {
    const text = join({
      services: `services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: dns, vip: 203.0.113.53, protocol: udp, port: 53, pool: dns, defend: {syn_cookies: auto, service_rate: {syn: 5}}}
`,
    });
    assert.deepEqual(
      problemsOf(text).map(({ field }) => field),
      ['services[1].defend.syn_cookies', 'services[1].defend.service_rate'],
    );
  });
});

function warningsOf(text: string, role: 'run' | 'agent' = 'run'): string[] {
  return parse(text, role).warnings.map(({ field, message }) => `${field}: ${message}`);
}

describe('a likely mistake in the section defend', () => {
  const CASES: readonly (readonly [text: string, warning: RegExp])[] = [
    [config('defend: {source_rate: {syn: 5}}\n'), /^defend.source_rate.syn: 5 in 1s: a browser opens 6/],
    [config('defend: {source_rate: {packets: 50}}\n'), /^defend.source_rate.packets: 50 in 1s: a browser/],
    [
      config('defend: {block: [10.1.0.0/24]}\n'),
      /^defend.block\[0\]: 10.1.0.0\/24 covers pools.web.backends\[0\]/,
    ],
    [
      config('defend: {block: [10.0.0.0/28]}\n'),
      /^defend.block\[0\]: 10.0.0.0\/28 covers forwarders \(node.source/,
    ],
    [config("defend: {block: ['::/0']}\n"), /blocks every IPv6 client/],
    [
      config('defend: {allow: [192.0.2.7], block: [192.0.2.7/32]}\n'),
      /192.0.2.7\/32 is in allow too, which wins/,
    ],
    [
      config('', { own: 'syn_cookies: auto' }).replace(
        'address: 10.1.0.11',
        'address: 10.1.0.11, agent: false',
      ),
      /^services\[0\]: syn_cookies is on, and no backend of pool "web" has an agent/,
    ],
  ];
  for (const [text, warning] of CASES)
    it(`is told: ${warning.source}`, () => {
      const warnings = warningsOf(text);
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.match(warnings[0], warning);
    });

  it('is none in a config that makes sense', () =>
    assert.deepEqual(
      warningsOf(
        config('defend: {mode: observe, source_rate: {packets: 50k, syn: 500}, syn_cookies: auto}\n'),
      ),
      [],
    ));
});

describe('the key of SYN cookies', () => {
  const write = (name: string, text: string): string => {
    writeFileSync(joinPath(folder, name), text, { mode: 0o600 });
    return joinPath(folder, name);
  };
  const load = (text: string, role: 'run' | 'agent') =>
    loadConfig(write('anyhop.yaml', text), { role, env: {} });

  it('comes from its file, for nodes and for agents, and is shown nowhere', () => {
    write('cookie.key', `${'0a1b'.repeat(8)}\n`);
    for (const role of ['run', 'agent'] as const) {
      const { defend } = load(config('defend: {cookie_key_file: cookie.key}\n'), role);
      assert.equal(Buffer.from(defend!.cookies!.own!.reveal()).toString('hex'), '0a1b'.repeat(8));
      assert.doesNotMatch(JSON.stringify(defend), /0a1b/);
    }
  });

  it('is refused when the file holds another length, which alone is told', () => {
    write('cookie.key', 'abcd'.repeat(6));
    const { problems } = catching(() => load(config('defend: {cookie_key_file: cookie.key}\n'), 'run'));
    assert.match(
      problems[0].message,
      /holds 24 hexadecimal digits; expected 32 hexadecimal digits: openssl rand -hex 16$/,
    );
  });

  it('comes from the secret of the fleet without a file, on a backend only where it has that', () => {
    const text = config('defend: {syn_cookies: auto}\n');
    assert.ok(parse(text).defend!.cookies!.fleet);
    assert.ok(parse(text, 'agent').defend!.cookies!.fleet);
    const without = text.replace(/ {2}key: .*\n/, '  key_file: /nowhere/key\n');
    assert.equal(parse(without, 'agent').defend!.cookies!.fleet, undefined);
    assert.match(warningsOf(without, 'agent').join(), /its agent takes no SYN cookies/);
  });
});

function catching(run: () => unknown): { problems: readonly { message: string }[] } {
  try {
    run();
  } catch (error) {
    return error as { problems: readonly { message: string }[] };
  }
  throw new Error('nothing was refused');
}
