/** The language of capture filters: what an expression decides, and what a wrong one is told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compile } from '#anyhop/capture/compile.js';
import { parseExpression } from '#anyhop/capture/expression.js';
import { PacketFields } from '#anyhop/capture/fields.js';
import { FilterMatch } from '#anyhop/capture/filter-match.js';
import { type CaptureRecord, UNKNOWN } from '#anyhop/capture/record.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { frame, icmpEcho, icmpv6Echo, ipv4, ipv6, tcp, udp } from '../packets/build.js';
import { NAMES, recordOf } from './names.js';

/** A packet in words, from which both a frame and the truth about it are made. */
interface Model {
  readonly client: string;
  readonly vip: string;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly clientPort: number;
  readonly port: number;
  readonly verdict: number;
  readonly service: number;
  readonly backend: number;
  readonly vlans: readonly number[];
}

/** An expression in words: its text, and what it says of a packet by a second reading of the language. */
interface Sentence {
  readonly text: string;
  readonly says: (model: Model) => boolean;
}

const CLIENTS4 = ['198.51.100.7', '198.51.100.200', '192.0.2.1'];
const CLIENTS6 = ['2001:db8:1::7', '2001:db8:2::7'];
const VIPS4 = ['203.0.113.10', '203.0.113.53'];
const VIPS6 = ['2001:db8::10', '2001:db8::11'];
const PREFIXES: readonly (readonly [string, (client: string) => boolean])[] = [
  ['198.51.100.7', (client) => client === '198.51.100.7'],
  ['198.51.100.0/24', (client) => client.startsWith('198.51.100.')],
  ['198.51.100.128/25', (client) => client === '198.51.100.200'],
  ['0.0.0.0/0', (client) => !client.includes(':')],
  ['2001:db8::/32', (client) => client.includes(':')],
  ['2001:db8:1::/48', (client) => client.startsWith('2001:db8:1:')],
];
const PORTS = [53, 60, 80, 443];

const model: fc.Arbitrary<Model> = fc
  .record({
    isIpv6: fc.boolean(),
    clientAt: fc.nat(2),
    vipAt: fc.nat(1),
    protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'icmp' as const),
    clientPort: fc.constantFrom(...PORTS),
    port: fc.constantFrom(...PORTS),
    verdict: fc.nat(VERDICTS.length - 1),
    backendAt: fc.nat(3),
    vlans: fc.constantFrom([], [10], [10, 20]),
  })
  .map(({ isIpv6, clientAt, vipAt, backendAt, ...rest }) => {
    const client = isIpv6 ? CLIENTS6[clientAt % 2] : CLIENTS4[clientAt];
    const vip = (isIpv6 ? VIPS6 : VIPS4)[vipAt];
    const isForwarded = rest.verdict <= L.V_FORWARDED_ICMP_ERROR;
    const service = NAMES.services.find((each) => each.vip === vip);
    const members = NAMES.backends.filter(({ pool }) => pool === service?.pool);
    // Only what is forwarded has a service and a backend, and these belong together.
    const known = isForwarded && service !== undefined;
    return {
      client,
      vip,
      ...rest,
      service: known ? service.number : UNKNOWN,
      backend: known ? members[backendAt % members.length].number : UNKNOWN,
    };
  });

const oneOf = (
  field: string,
  values: readonly (readonly [string, (model: Model) => boolean])[],
): fc.Arbitrary<Sentence> =>
  fc.uniqueArray(fc.nat(values.length - 1), { minLength: 1, maxLength: 3 }).map((picked) => ({
    text: `${field} ${picked.map((i) => values[i][0]).join(',')}`,
    says: (packet) => picked.some((i) => values[i][1](packet)),
  }));

const hasPorts = ({ protocol }: Model): boolean => protocol !== 'icmp';
const isOf =
  (name: string) =>
  (packet: Model): boolean => {
    const service = NAMES.services.find((each) => each.name === name)!;
    if (packet.service !== UNKNOWN) return packet.service === service.number;
    return (
      packet.vip === service.vip &&
      packet.protocol === service.protocol &&
      packet.port >= service.portFirst &&
      packet.port <= service.portLast
    );
  };
const term: fc.Arbitrary<Sentence> = fc.oneof(
  oneOf(
    'vip',
    [...VIPS4, ...VIPS6].map((vip) => [vip, (packet) => packet.vip === vip] as const),
  ),
  oneOf(
    'client',
    PREFIXES.map(([text, has]) => [text, (packet) => has(packet.client)] as const),
  ),
  oneOf('port', [
    ['80', (packet) => hasPorts(packet) && packet.port === 80],
    ['53-60', (packet) => hasPorts(packet) && packet.port >= 53 && packet.port <= 60],
  ]),
  oneOf('client_port', [['443', (packet) => hasPorts(packet) && packet.clientPort === 443]]),
  oneOf('protocol', [
    ['tcp', ({ protocol }) => protocol === 'tcp'],
    ['17', ({ protocol }) => protocol === 'udp'],
    ['icmp', ({ protocol }) => protocol === 'icmp'],
    ['58', ({ protocol, vip }) => protocol === 'icmp' && vip.includes(':')],
  ]),
  oneOf(
    'service',
    ['web', 'web6', 'dns'].map((name) => [name, isOf(name)] as const),
  ),
  oneOf(
    'pool',
    ['web', 'dns'].map((pool) => [
      pool,
      (packet) => NAMES.services.some((service) => service.pool === pool && isOf(service.name)(packet)),
    ]),
  ),
  oneOf('backend', [
    ['web-2', ({ backend }) => backend === 1],
    ['web-1', ({ backend }) => backend === 0 || backend === 3],
    ['dns/web-1', ({ backend }) => backend === 3],
  ]),
  oneOf('verdict', [
    ['forwarded', ({ verdict }) => verdict === L.V_FORWARDED],
    ['drop_*', ({ verdict }) => VERDICTS[verdict].action === 'drop'],
    ['*_answered', ({ verdict }) => VERDICTS[verdict].action === 'answer'],
    ['drop_*_limited', ({ verdict }) => /^drop_.*_limited$/.test(VERDICTS[verdict].name)],
  ]),
);

const { sentence } = fc.letrec<{ sentence: Sentence }>((tie) => ({
  sentence: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    term,
    tie('sentence').map(({ text, says }) => ({
      text: `not (${text})`,
      says: (packet: Model) => !says(packet),
    })),
    fc.tuple(tie('sentence'), tie('sentence')).map(([a, b]) => ({
      text: `(${a.text}) and (${b.text})`,
      says: (packet: Model) => a.says(packet) && b.says(packet),
    })),
    fc.tuple(tie('sentence'), tie('sentence')).map(([a, b]) => ({
      text: `(${a.text}) || (${b.text})`,
      says: (packet: Model) => a.says(packet) || b.says(packet),
    })),
  ),
}));

function frameOf(packet: Model): Uint8Array {
  const { client: src, vip: dst, protocol, clientPort: sport, port: dport, vlans } = packet;
  const ip = dst.includes(':') ? ipv6({ src, dst }) : ipv4({ src, dst });
  const inside =
    protocol === 'tcp'
      ? tcp({ sport, dport })
      : protocol === 'udp'
        ? udp({ sport, dport })
        : dst.includes(':')
          ? icmpv6Echo()
          : icmpEcho();
  return frame({ vlans }, ip, inside);
}

function asked(text: string, record: CaptureRecord): { decided: boolean; passes: boolean } | 'never' {
  const fields = new PacketFields().read(record.inBytes, 0, record.inBytes.length, 'forwarder');
  try {
    const { narrow, decide } = compile(parseExpression(text), NAMES, 'forwarder');
    const filter = new FilterMatch({ ...narrow, sample: 1, snapLength: 128 });
    return {
      decided: decide(record, fields),
      passes: filter.wantsVerdict(record.verdict) && filter.wants(fields, record.backend),
    };
  } catch (error) {
    if (error instanceof AnyhopError && error.message.includes('no packet can match')) return 'never';
    throw error;
  }
}

describe('a capture filter', () => {
  it('decides as its words say, and the source is never asked for less', () => {
    fc.assert(
      fc.property(sentence, model, ({ text, says }, packet) => {
        const { verdict, service, backend } = packet;
        const record = recordOf(frameOf(packet), { verdict, service, backend });
        const answer = asked(text, record);
        const expected = says(packet);
        if (answer === 'never') assert.equal(expected, false, text);
        else {
          assert.equal(answer.decided, expected, text);
          if (expected) assert.ok(answer.passes, `the source would not record it: ${text}`);
        }
      }),
      { numRuns: 1500 },
    );
  });

  const narrowOf = (text: string) => compile(parseExpression(text), NAMES, 'forwarder').narrow;

  it('lets the source do the work that it can', () => {
    const drops = [...VERDICTS.keys()].filter((each) => VERDICTS[each].action === 'drop');
    const { vip, verdicts } = narrowOf('vip 203.0.113.10 and verdict drop_*');
    assert.deepEqual([vip?.text, verdicts], ['203.0.113.10', drops]);
    const { client } = narrowOf('client 198.51.100.0/25,198.51.100.128/25');
    assert.deepEqual([client?.address.text, client?.bits], ['198.51.100.0', 24]);
    assert.equal(narrowOf('backend web-2 or backend web-2 and port 80').backend, 1);
    assert.deepEqual(narrowOf('not verdict forwarded*').verdicts?.[0], L.V_ECHO_ANSWERED);
    assert.equal(narrowOf('service web and tcp').vip?.text, '203.0.113.10');
    assert.deepEqual(narrowOf('port 80 or port 443'), {});
  });

  const wrong: readonly (readonly [string, RegExp, RegExp?])[] = [
    ['vpi 203.0.113.10', /column 1: expected a field, found "vpi"/, /vip/],
    ['vip', /column 4: expected a value of vip, and the filter ends/],
    [
      'vip 203.0.113.10 verdict drop_*',
      /column 18: expected "and" or "or", found "verdict"/,
      /"and" before verdict/,
    ],
    ['vip 203.0.113', /column 5: expected an address/],
    ['vip and port 80', /column 5: expected a value of vip, found "and"/],
    ['verdict drop_no_servise', /column 9: no verdict "drop_no_servise"/, /drop_no_service/],
    ['verdict nothing_*', /column 9: no verdict/, /forwarded/],
    ['(port 80', /column 1: this "\(" has no "\)"/],
    ['port 80)', /column 8: a "\)" without its "\("/],
    ['(port 80 tcp)', /column 10: expected "and", "or" or "\)"/],
    ['port 80-70', /column 6: expected a port/],
    ['port 65536', /column 6: expected a port/],
    ['client 198.51.100.0/33', /column 8: expected an address or a prefix/],
    ['service wep', /column 9: no service "wep"/, /Did you mean web/],
    ['pool wep', /column 6: no pool/, /Did you mean web/],
    ['backend web/web-3', /column 9: no backend/, /web\/web-[12]/],
    ['protocol tpc', /column 10: no protocol/, /tcp/],
    ['valueOf', /column 1: expected a field/],
    ['protocol constructor', /column 10: no protocol/],
    ['host 192.0.2.1', /column 1/, /client ADDRESS/],
    ['backend web-1 and verdict drop_*', /no packet can match/],
    [`${'('.repeat(40)}tcp${')'.repeat(40)}`, /too deep/],
    ['not '.repeat(40), /too deep|the filter ends/],
    [`port ${'1,'.repeat(300)}1`, /more than 256 values/],
    ['x'.repeat(5000), /5000 characters/],
  ];
  for (const [text, message, hint = /.*/] of wrong)
    it(`refuses ${text.length > 40 ? `${text.slice(0, 40)}...` : text}, and says where and why`, () => {
      assert.throws(
        () => compile(parseExpression(text), NAMES, 'forwarder'),
        (error: AnyhopError) => {
          assert.equal(error.code, 'ERR_USAGE');
          assert.match(error.message, message);
          assert.match(error.hint ?? '', hint);
          return true;
        },
      );
    });

  it('refuses any text or takes it, and never fails otherwise', () => {
    const word = fc.constantFrom(
      'vip',
      'and',
      'or',
      'not',
      '(',
      ')',
      ',',
      'tcp',
      '80',
      '203.0.113.10',
      'drop_*',
      '!',
      '&&',
      '|',
      'é',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(' ')),
        ),
        (text) => {
          try {
            compile(parseExpression(text), NAMES, 'forwarder');
          } catch (error) {
            assert.ok(error instanceof AnyhopError, String(error));
            assert.equal(error.code, 'ERR_USAGE');
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('warns of an address that is no VIP, and takes it', () => {
    const { warnings } = compile(parseExpression('vip 203.0.113.11'), NAMES, 'forwarder');
    assert.match(warnings[0], /203\.0\.113\.11 is no VIP here\. Did you mean 203\.0\.113\.10/);
  });

  it('takes every packet when it is empty', () => {
    assert.deepEqual(compile(parseExpression('  '), NAMES, 'forwarder').narrow, {});
  });
});
