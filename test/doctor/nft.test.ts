/** What nftables does with a packet, as the doctor reads it from a ruleset: of rules that the real nft has listed, and by a law. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { runTool } from '#anyhop/core/tool.js';
import { droppedBy, type Packet, type Ruleset, readRuleset, translates } from '#anyhop/doctor/nft.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

const skip = missingForIsolation('nft');
const SYN: Packet = {
  hooks: ['prerouting', 'input'],
  family: 4,
  protocol: 'tcp',
  destination: parseAddress('203.0.113.10'),
  destinationPort: 80,
  inInterface: 'eth0',
  state: 'new',
};
const GRE: Packet = {
  hooks: ['prerouting', 'input'],
  family: 4,
  protocol: 'gre',
  destination: parseAddress('10.1.0.11'),
  inInterface: 'eth0',
  state: 'new',
};
const RULE = { chain: 'inet t in', byPolicy: false };
const POLICY = { chain: 'inet t in', byPolicy: true };

/** Rules of an input chain, whether its policy drops, and what becomes of a packet. */
const CASES: readonly [
  rules: string,
  packet: Packet,
  dropped: ReturnType<typeof droppedBy>,
  policy?: 'drop',
][] = [
  ['', SYN, undefined],
  ['', SYN, POLICY, 'drop'],
  ['meta l4proto gre drop', GRE, RULE],
  ['meta l4proto gre drop', SYN, undefined],
  ['ip protocol 47 counter reject', GRE, RULE],
  ['ip6 nexthdr gre drop', GRE, undefined],
  ['ip daddr 203.0.113.0/24 drop', SYN, RULE],
  ['ip daddr { 203.0.113.10, 10.0.0.0/8 } tcp dport 1-100 drop', SYN, RULE],
  ['ip daddr != 203.0.113.10 drop', SYN, undefined],
  ['tcp dport { 80, 443 } accept\ndrop', SYN, undefined],
  ['tcp dport @ports accept', SYN, undefined, 'drop'],
  ['tcp dport 22 accept\nudp dport 53 accept', SYN, POLICY, 'drop'],
  ['ct state established,related accept\nct state invalid drop', SYN, POLICY, 'drop'],
  ['iifname "eth1" drop', SYN, undefined],
  ['iifname "eth*" drop', SYN, RULE],
  ['ip saddr 198.51.100.0/24 drop', SYN, undefined],
  ['ip saddr 198.51.100.0/24 accept', SYN, undefined, 'drop'],
  ['limit rate 10/second accept\ndrop', SYN, undefined],
  ['tcp dport 80 add @busy { ip saddr limit rate over 10/second } drop', SYN, undefined],
  ['tcp dport 80 meter flood { ip saddr limit rate over 10/second } drop', SYN, undefined],
  ['ct count over 100 drop', SYN, undefined],
  ['quota over 100 mbytes drop', SYN, undefined],
  ['quota 100 mbytes accept', SYN, undefined, 'drop'],
  ['counter meta mark set 7 log prefix "x" drop', SYN, RULE],
  ['jump more', SYN, RULE],
  ['jump back\ndrop', SYN, RULE],
  ['ct state vmap { established : accept, invalid : drop }', SYN, undefined, 'drop'],
];

describe('rules that nft lists', { skip }, () => {
  let resources: Resources;
  let namespace: string;
  before(() => {
    resources = new Resources();
    namespace = resources.addNamespace('nft');
  });
  after(() => resources?.close());

  for (const [rules, packet, dropped, policy = 'accept'] of CASES) {
    const fate =
      dropped === undefined ? 'is not certain to drop' : dropped.byPolicy ? 'drops at its end' : 'drops';
    it(`a chain of policy ${policy} ${fate} ${packet.protocol}: ${rules.replaceAll('\n', '; ') || 'no rules'}`, async () => {
      const text = `flush ruleset
table inet t {
  set ports {
    type inet_service
    elements = { 80, 443 }
  }
  set busy {
    type ipv4_addr
    flags dynamic
    timeout 1m
  }
  chain more {
    tcp dport 80 drop
  }
  chain back {
    tcp dport 80 return
    accept
  }
  chain in {
    type filter hook input priority 0
    policy ${policy}
    ${rules.replaceAll('\n', '\n    ')}
  }
}
`;
      await run(inNamespace(namespace, ['nft', '-f', '-']), { input: text });
      const ruleset = await readRuleset((program, args) =>
        runTool('ip', ['netns', 'exec', namespace, program, ...args]),
      );
      assert.deepEqual(droppedBy(ruleset, packet), dropped);
    });
  }
});

describe('rules that translate addresses', () => {
  it('make it uncertain what becomes of a packet, and say that a listener may be elsewhere', () => {
    const accepts8080 = {
      match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: 8080 },
    };
    const chain = (hook: string, drops: boolean, rules: Ruleset['chains'][number]['rules']) => ({
      table: 'ip t',
      name: hook,
      family: 'ip',
      hook,
      priority: 0,
      drops,
      rules,
    });
    const input = chain('input', true, [[accepts8080, { accept: null }]]);
    const plain: Ruleset = { chains: [input], sets: new Map() };
    const redirects: Ruleset = {
      chains: [chain('prerouting', false, [[{ redirect: { port: 8080 } }]]), input],
      sets: new Map(),
    };
    assert.deepEqual([droppedBy(plain, SYN)?.chain, translates(plain)], ['ip t input', false]);
    assert.deepEqual([droppedBy(redirects, SYN), translates(redirects)], [undefined, true]);
    const ofIptables: Ruleset = {
      chains: [{ ...chain('prerouting', false, [[{ xt: null }]]), table: 'ip nat' }, input],
      sets: new Map(),
    };
    assert.deepEqual([droppedBy(ofIptables, SYN), translates(ofIptables)], [undefined, true]);
  });
});

describe('what is not known of a packet', () => {
  type Condition = 'holds' | 'fails' | 'unknown';
  interface Rule {
    readonly conditions: readonly Condition[];
    readonly does: 'accept' | 'drop' | 'return' | 'jump' | 'counter';
  }
  const LEFT = { holds: ['l4proto', 'gre'], fails: ['l4proto', 'tcp'], unknown: ['mark', 7] } as const;
  const statements = ({ conditions, does }: Rule) => [
    ...conditions.map((each) => ({
      match: { op: '==', left: { meta: { key: LEFT[each][0] } }, right: LEFT[each][1] },
    })),
    does === 'jump' ? { jump: { target: 'sub' } } : { [does]: null },
  ];
  const rulesetOf = (rules: readonly Rule[], sub: readonly Rule[], drops: boolean): Ruleset => ({
    chains: [
      {
        table: 'inet t',
        name: 'in',
        family: 'inet',
        hook: 'input',
        priority: 0,
        drops,
        rules: rules.map(statements),
      },
      {
        table: 'inet t',
        name: 'sub',
        family: 'inet',
        hook: undefined,
        priority: 0,
        drops: false,
        rules: sub.map(statements),
      },
    ],
    sets: new Map(),
  });
  const rule = (...does: Rule['does'][]) =>
    fc.record({
      conditions: fc.array(fc.constantFrom<Condition>('holds', 'fails', 'unknown'), { maxLength: 2 }),
      does: fc.constantFrom(...does),
    });

  it('never makes it dropped: who is certainly dropped is dropped whatever else turns out', () => {
    fc.assert(
      fc.property(
        fc.array(rule('accept', 'drop', 'return', 'jump', 'counter'), { maxLength: 5 }),
        fc.array(rule('accept', 'drop', 'return', 'counter'), { maxLength: 3 }),
        fc.boolean(),
        fc.infiniteStream(fc.boolean()),
        (rules, sub, drops, truths) => {
          const known = (list: readonly Rule[]): Rule[] =>
            list.map(({ conditions, does }) => ({
              conditions: conditions.map((each) =>
                each !== 'unknown' ? each : truths.next().value ? 'holds' : 'fails',
              ),
              does,
            }));
          const unsure = droppedBy(rulesetOf(rules, sub, drops), GRE);
          const sure = droppedBy(rulesetOf(known(rules), known(sub), drops), GRE);
          assert.ok(unsure === undefined || sure !== undefined);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('is certain where everything is known', () => {
    const one = (conditions: Condition[], does: Rule['does']): Rule => ({ conditions, does });
    assert.notEqual(
      droppedBy(rulesetOf([one(['unknown'], 'drop'), one([], 'drop')], [], false), GRE),
      undefined,
    );
    assert.equal(
      droppedBy(rulesetOf([one(['unknown'], 'accept'), one([], 'drop')], [], false), GRE),
      undefined,
    );
  });
});
