/**
 * A flood of packets that are too big, from 32,768 spoofed sources, and one real client that sends a few: it is told what fits.
 * How fast the flood was stands in the test's output: a slow machine makes a slower one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const TRAFFIC = fileURLToPath(new URL('../../scripts/traffic.js', import.meta.url));
const TIMEOUT_MS = 120_000;
/** No room for GRE around a packet of this size; and what it has on the wire. */
const MTU = 1500;
const WIRE = MTU + 18;
const SOURCES = 32_768;
/** Until the sources are known as those that send much. */
const WARM_UP_S = 4;
const REAL = { packets: 60, rate: 3 };
const FLOOD_S = WARM_UP_S + REAL.packets / REAL.rate + 2;
/** More than any machine makes. */
const RATE = 2_000_000;

test('a real client is told what fits while 32,768 spoofed sources use up all answers', {
  skip: missingForLab(['timeout'])?.message ?? false,
  timeout: TIMEOUT_MS,
}, async (context) => {
  const lab = await createLab({ forwarders: 1, backends: 1, engine: 'xdp', underlayMtu: MTU });
  try {
    await lab.startAll();
    const flood = traffic(lab, `tcp:${VIP4}:${HTTP_PORTS[0]}`, {
      flows: SOURCES,
      rate: RATE,
      packets: RATE * FLOOD_S,
      seconds: FLOOD_S,
    });
    await new Promise((resolve) => setTimeout(resolve, WARM_UP_S * 1000));
    const told = answersTo(lab);
    told.catch(() => undefined); // awaited below, if it comes to that
    const sent = await traffic(lab, `tcp:[${VIP6}]:${HTTP_PORTS[0]}`, {
      flows: 1,
      rate: REAL.rate,
      packets: REAL.packets,
      seconds: REAL.packets / REAL.rate + 1,
    });
    const made = await flood;
    const { verdicts } = (await ask(lab.socket(0), '/status')) as NodeStatus;
    const limited = verdicts['drop_too_big_limited']?.packets ?? 0;
    const answered = await told;
    context.diagnostic(
      `flood: ${Math.round(made.rate)} packets a second for ${made.seconds.toFixed(1)} s; not answered: ${limited}; ` +
        `the client was answered ${answered} times of ${sent.packets}`,
    );
    assert.equal(sent.packets, REAL.packets);
    assert.ok(limited > made.packets / 10, 'answers were not scarce: this machine is too slow for the test');
    assert.ok(answered >= REAL.packets * 0.95, `${answered} of ${REAL.packets}`);
  } finally {
    await lab.close();
  }
});

const inRouter = (lab: Lab, argv: readonly string[]): Promise<string> =>
  run(inNamespace(lab.router, argv), { timeoutMs: TIMEOUT_MS });

interface Made {
  readonly packets: number;
  readonly seconds: number;
  readonly rate: number;
}

/** Packets of full size from the router to the forwarder, from so many sources. */
async function traffic(
  lab: Lab,
  target: string,
  { flows, rate, packets, seconds }: { flows: number; rate: number; packets: number; seconds: number },
): Promise<Made> {
  const node = lab.forwarders[0]!;
  const [{ address }] = JSON.parse(await lab.exec(node.namespace, ['ip', '-json', 'link', 'show', 'eth0']));
  return JSON.parse(
    await inRouter(lab, [
      ...[process.execPath, TRAFFIC, '--json', '--interface', node.name, '--mac', address, '--to', target],
      ...['--flows', String(flows), '--ports', '1', '--sizes', String(WIRE), '--rate', String(rate)],
      ...['--count', String(packets), '--seconds', String(seconds)],
    ]),
  );
}

/** How many messages "packet too big" the forwarder sends in the time of the real client's packets. */
async function answersTo(lab: Lab): Promise<number> {
  const seconds = REAL.packets / REAL.rate + 3;
  const filter = `icmp6 and ip6[40] == 2 and src host ${VIP6}`;
  const lines = await inRouter(lab, [
    ...['timeout', '--preserve-status', '-s', 'INT', String(seconds)],
    ...['tcpdump', '-i', lab.forwarders[0]!.name, '-n', '-l', '-Q', 'in', filter],
  ]);
  return lines.split('\n').filter((line) => line.includes('packet too big')).length;
}
