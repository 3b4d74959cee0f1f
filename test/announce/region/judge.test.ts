/** What the DNS answers for what the nodes say: by example, and by laws over any views. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { statesText, weightsText } from '#anyhop/announce/region/gdnsd-files.js';
import { type HostState, judge } from '#anyhop/announce/region/judge.js';
import type { NodeView } from '#anyhop/announce/region/watched-node.js';
import { node, region } from './fixture.js';

const EU = region(
  'eu',
  [node('eu-1', 1, 2), node('eu-2', 2, 3)],
  ['www 203.0.113.10', 'www 2001:db8::10', 'dns 203.0.113.53'],
);
const US = region('us', [node('us-1', 3, 4)], ['www 198.51.100.10', 'www 2001:db8:2::10']);
const REGIONS = [EU, US];
const ALL = REGIONS.flatMap(({ vips }) => vips.map(({ vip }) => vip.text));

function heard(
  name: string,
  weight: number,
  vips: readonly string[],
  other: 'draining' | 'withdrawn' = 'withdrawn',
): NodeView {
  return {
    state: 'heard',
    answer: {
      node: name,
      region: name.slice(0, 2),
      ready: vips.length > 0,
      draining: false,
      weight,
      vips: ALL.map((vip) => ({ vip, state: vips.includes(vip) ? 'announced' : other })),
    },
  };
}

const LOST: NodeView = { state: 'lost', why: 'no answer', weight: 1 };
const views = (known: Readonly<Record<string, NodeView>>) => (name: string) => known[name] ?? LOST;
const ofHost = (hosts: readonly HostState[], host: string) => hosts.find((each) => each.host === host)!;
const short = ({ regions }: HostState) =>
  regions.map(({ name, isUp, weight }) => `${name} ${isUp ? 'up' : 'down'} ${weight}`);

describe('the judgement of a DNS host', () => {
  it('gives a region the weights of its ready nodes, by the weakest VIP of the host', () => {
    const hosts = judge(
      REGIONS,
      views({
        'eu-1': heard('eu-1', 2, ALL),
        'eu-2': heard('eu-2', 3, ['203.0.113.10', '203.0.113.53']),
        'us-1': heard('us-1', 9, ALL),
      }),
    );
    assert.deepEqual(short(ofHost(hosts, 'www')), ['eu up 2', 'us up 9']);
    assert.deepEqual(short(ofHost(hosts, 'dns')), ['eu up 5']);
  });

  it('takes a region out whose nodes are lost, drain or announce nothing, and remembers its weight', () => {
    for (const gone of [{ ...LOST, weight: 7 }, heard('eu-1', 7, [], 'draining'), heard('eu-1', 7, [])]) {
      const hosts = judge(REGIONS, views({ 'eu-1': gone, 'us-1': heard('us-1', 4, ALL) }));
      assert.deepEqual(short(ofHost(hosts, 'www')), ['eu down 8', 'us up 4']);
    }
  });

  it('answers all when no region has anything, and prefers a part to nothing', () => {
    const none = ofHost(
      judge(REGIONS, () => LOST),
      'www',
    );
    assert.equal(none.failsOpen, true);
    assert.deepEqual(short(none), ['eu up 2', 'us up 1']);
    const part = ofHost(judge(REGIONS, views({ 'us-1': heard('us-1', 4, ['198.51.100.10']) })), 'www');
    assert.equal(part.failsOpen, false);
    assert.deepEqual(short(part), ['eu down 2', 'us up 4']);
  });

  it('becomes states and weights that gdnsd reads, without a weight of 0', () => {
    const hosts = judge(REGIONS, views({ 'us-1': heard('us-1', 4, ALL), 'eu-1': { ...LOST, weight: 5 } }));
    assert.equal(
      statesText(hosts),
      `# written by anyhop
203.0.113.10 => DOWN/60
2001:db8::10 => DOWN/60
198.51.100.10 => UP/60
2001:db8:2::10 => UP/60
203.0.113.53 => UP/60
`,
    );
    assert.match(
      weightsText(hosts),
      /"www" => \{\n {2}addrs_v4 => \{\n {4}"eu" => \[ 203.0.113.10, 6 \]\n {4}"us" => \[ 198.51.100.10, 4 \]\n {2}\}\n {2}addrs_v6/,
    );
  });

  it('never prefers a region without a VIP to one with all, whatever nodes say, also of VIPs of others', () => {
    const view = (name: string, own: readonly string[]) =>
      fc.oneof(
        fc.constant(LOST),
        fc
          .tuple(
            fc.integer({ min: 1, max: 1000 }),
            fc.subarray([...ALL]),
            fc.constantFrom('draining', 'withdrawn'),
          )
          .map(([weight, vips, other]) => ({
            view: heard(name, weight, vips, other as 'draining'),
            own: vips.filter((vip) => own.includes(vip)),
          })),
      );
    const own = (of: typeof EU) => of.vips.map(({ vip }) => vip.text);
    fc.assert(
      fc.property(view('eu-1', own(EU)), view('eu-2', own(EU)), view('us-1', own(US)), (a, b, c) => {
        const said = [a, b, c].map((each) => ('own' in each ? each : { view: each, own: [] as string[] }));
        const hosts = judge(
          REGIONS,
          views({ 'eu-1': said[0].view, 'eu-2': said[1].view, 'us-1': said[2].view }),
        );
        const announced = new Set(said.flatMap((each) => each.own));
        for (const { failsOpen, regions } of hosts) {
          assert.ok(
            regions.some(({ isUp }) => isUp),
            'somebody is answered',
          );
          const counts = regions.map(
            ({ vips }) => vips.filter(({ text }) => announced.has(text)).length / vips.length,
          );
          assert.equal(
            failsOpen,
            counts.every((count) => count === 0),
          );
          regions.forEach(({ isUp, weight }, index) => {
            assert.ok(Number.isInteger(weight) && weight >= 1 && weight < 2 ** 20);
            if (counts[index] === 1) assert.ok(isUp);
            if (counts[index] === 0 && !failsOpen) assert.ok(!isUp);
            if (counts.includes(1) && counts[index]! < 1) assert.ok(!isUp);
          });
        }
      }),
    );
  });
});
