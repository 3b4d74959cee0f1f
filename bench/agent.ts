/**
 * What does a packet cost the agent's program? Times by BPF_PROG_TEST_RUN beside a floor program in the same harness
 * (bench/agent/harness.ts), on one CPU: unwrapping, unwrapping after a socket was found, and second chance in place, wrapped again
 * for the other family, and by a key of the former format, after which the packet is wrapped again without one; and the same with SYN
 * cookies of the fleet. Each line is a
 * ratio; the note has the times.
 *
 *   node build/bench/agent.js [--quick]
 *
 * Needs root.
 */
import { availableParallelism } from 'node:os';
import { AGENT_PROGRAM, readVerdicts } from '#anyhop/agent/program.js';
import { BpfObject } from '#anyhop/ffi/bpf.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import { COOKIE_KEY_SIZE } from '#anyhop/hash/cookie-key.js';
import { inner4, inner6, KEYS, loadAgent, outer4, outer6 } from '../test/agent/fixture.js';
import { missingForIsolation } from '../test/isolation.js';
import { concat, frame, type GreOptions, gre, payload, tcp, tcpOption } from '../test/packets/build.js';
import { type AgentContender, type AgentFlow, AgentHarness, type AgentTraffic } from './agent/harness.js';
import { Connections } from './agent/sockets.js';
import { median, report, skip } from './report.js';
import { type Series, spread } from './xdp/harness.js';

const isQuick = process.argv.includes('--quick');
const TURNS = isQuick ? { turns: 3, packets: 2048 } : { turns: 41, packets: 1 << 18 };
const FLOWS = isQuick ? 16 : 512;
const SECOND_CHANCE_MAX = 2.5;
/** The last one: interrupts tend to go to the first. */
const CPU = availableParallelism() - 1;
const FAMILIES = [
  {
    family: 4,
    vip: '127.0.0.5',
    client: '127.0.0.1',
    tail: Uint8Array.of(127, 0, 0, 1),
    ids: [12, 18],
    former: KEYS.peer4,
  },
  {
    family: 6,
    vip: '::1',
    client: '::1',
    tail: Uint8Array.of(0, 0, 0, 1),
    ids: [18, 12],
    former: KEYS.peer6,
  },
] as const;

const missing = missingForIsolation();
if (missing !== false) skip('agent', missing);
else await measure();

async function measure(): Promise<void> {
  const harness = new AgentHarness(CPU);
  for (const each of FAMILIES) await measureFamily(harness, each);
  harness.close();
}

async function measureFamily(
  harness: AgentHarness,
  { family, vip, client, tail, ids, former }: (typeof FAMILIES)[number],
): Promise<void> {
  const held = await Connections.open(vip, client, tail, FLOWS);
  const options = {
    vips: { '203.0.113.10': FAMILIES[0].vip, '2001:db8::10': FAMILIES[1].vip },
    port: held.port,
    rate: { costNs: 1, burstNs: 1e9 }, // never short
  };
  const agent = loadAgent(options);
  const ingress = new BpfObject(bpfObjectPath('cookies'));
  const shared = { clock: ingress.map('clock'), cookies: ingress.map('cookies') };
  const withCookies = loadAgent({
    ...options,
    cookies: { keys: [new Uint8Array(COOKIE_KEY_SIZE)], ...shared },
  });
  const traffic = (
    key: GreOptions,
    flows: readonly AgentFlow[],
    options: Uint8Array = new Uint8Array(0),
  ): AgentTraffic => {
    const addresses = { src: client, dst: vip };
    const [outer, inner] = family === 4 ? [outer4(), inner4(addresses)] : [outer6(), inner6(addresses)];
    return {
      frame: frame({}, outer, gre(key), inner, tcp({ sport: 1, dport: held.port, options }), payload(20)),
      outer: (family === 4 ? 20 : 40) + (key.key === undefined ? 4 : 8),
      family,
      flows,
    };
  };
  // No connection comes from a system port.
  const strange = held.flows.map((flow, i) => ({ ...flow, port: 1 + i }));
  const plain = traffic({}, held.flows);
  const [same, other] = ids.map((id) => ({ key: id << 15, alternates: true }));
  const hit = traffic(same, held.flows);
  const subject = { object: agent, program: AGENT_PROGRAM };
  const cookies = { object: withCookies, program: AGENT_PROGRAM };
  // Of another clock than the fleet's, as most servers' are.
  const stamps = concat(tcpOption.nop(2), tcpOption.timestamps(1, 0x7fffffff));
  const [stamped, stampedHit] = [{}, same].map((key) => traffic(key, held.flows, stamps));
  const as = (each: AgentTraffic, subject: AgentContender['subject']): AgentContender => ({
    subject,
    traffic: each,
  });
  const contenders = [
    as(plain, 'floor'),
    as(plain, subject),
    as(hit, 'floor'),
    as(hit, subject),
    as(traffic(same, strange), subject),
    as(traffic(other, strange), subject),
    as(traffic({ key: former }, strange), subject),
    as(plain, 'nothing'),
    as(plain, cookies),
    as(hit, cookies),
    as(stamped, cookies),
    as(stamped, subject),
    as(stampedHit, cookies),
    as(stampedHit, subject),
  ];
  const before = readVerdicts(agent);
  const series = harness.compare(contenders, TURNS);
  const after = readVerdicts(agent);
  const packets = (TURNS.turns + 1) * TURNS.packets;
  const counted = Object.fromEntries(
    Object.keys(after).flatMap((name) =>
      after[name] === before[name] ? [] : [[name, (after[name] - before[name]) / packets]],
    ),
  );
  if (JSON.stringify(counted) !== JSON.stringify({ delivered: 4, sent_on: 3 }))
    throw new Error(`packets ended otherwise than they should: ${JSON.stringify(counted)}`);

  const [floor, unwrapped, keyedFloor, found, inPlace, again, bare, nothing, ...cookieSeries] = series;
  const name = `agent, IPv${family}`;
  overFloor(`${name}, unwrapped, over the floor`, unwrapped, floor);
  overFloor(`${name}, socket found, unwrapped, over the floor`, found, keyedFloor);
  for (const [how, second] of [
    ['in place', inPlace],
    ['wrapped again', again],
    ['former key', bare],
  ] as const) {
    const ratios = ratioOf(second, unwrapped);
    // Without what the wrapper takes, which makes the two look more alike than they are.
    const alone = second.ns.map(
      (each, turn) => (each - nothing.ns[turn]) / (unwrapped.ns[turn] - nothing.ns[turn]),
    );
    report({
      bench: `${name}, second chance (no socket, ${how}), over unwrapped`,
      value: median(ratios),
      unit: 'x',
      target: SECOND_CHANCE_MAX,
      note:
        `ratio ${spread(ratios, 2)}, without the wrapper ${median(alone).toFixed(2)}; ` +
        `ns: ${ns(second)}, unwrapped ${ns(unwrapped)}, wrapper alone ${ns(nothing)}`,
    });
  }
  const [plainCookies, foundCookies, stampedCookies, stampedPlain, stampedFound, stampedFoundPlain] =
    cookieSeries;
  for (const [what, one, other] of [
    ['no key', plainCookies, unwrapped],
    ['no key, timestamps', stampedCookies, stampedPlain],
    ['socket found, acknowledgment of no meaning', foundCookies, found],
    ['socket found, timestamps', stampedFound, stampedFoundPlain],
  ] as const) {
    const ratios = ratioOf(one, other);
    report({
      bench: `${name}, ${what}, with SYN cookies over without`,
      value: median(ratios),
      unit: 'x',
      note: `ratio ${spread(ratios, 2)}; ns: ${ns(one)}, without ${ns(other)}`,
    });
  }
  for (const each of [agent, withCookies, ingress, shared.clock, shared.cookies]) each.close();
  held.close();
}

function ns(series: Series): string {
  return median(series.ns).toFixed(1);
}

function ratioOf(a: Series, b: Series): number[] {
  return a.ns.map((each, turn) => each / b.ns[turn]);
}

function overFloor(bench: string, series: Series, floor: Series): void {
  const ratios = ratioOf(series, floor);
  report({
    bench,
    value: median(ratios),
    unit: 'x',
    note: `ratio ${spread(ratios, 2)}; ns: ${ns(series)}, floor ${ns(floor)}`,
  });
}
