/**
 * Real clients under a flood of spoofed SYNs that forwarders answer with cookies: none of them fails, and the connections that they
 * get live on like all others. FLOOD_CONNECTIONS=10000 is the long form, which `make soak` runs.
 */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DefendReport, DidWould } from '#anyhop/api/defend.js';
import type { BackendStatus, NodeStatus } from '#anyhop/api/status.js';
import { ask, tell } from '#anyhop/cli/control-client.js';
import { FloodFleet, PORT } from '../../scripts/demo-flood/fleet.js';
import { flood, HEAVY_SOURCE, SPOOFED_SYNS } from '../../scripts/demo-flood/floods.js';
import { lookAt, Witness } from '../../scripts/demo-flood/witness.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { SPOOFED_NETS } from '../../scripts/native/clients.js';
import type { Traffic } from '../../scripts/survive/traffic.js';

const TIMEOUT_MS = 180_000;
const CONNECTIONS = Number(process.env['FLOOD_CONNECTIONS'] ?? 2_000);
const RATE = 60_000;
/** 500 a second. */
const OPENING_S = CONNECTIONS / 500;
const UNTIL_MS = 20_000;
/** Each long connection asks once in this time. */
const AFTER_CHANGE_MS = 2_000;
const CHECK = { kind: 'tcp', port: PORT, interval: '250ms', timeout: '200ms', rise: 1, fall: 3 };
const OBSERVED = {
  mode: 'observe',
  source_rate: { packets: 2_000, syn: 100, per: '1s' },
  syn_cookies: 'auto',
};
const skip = missingForLab()?.message ?? false;

/** Failures by reason; none when it is empty. */
function failures({ connections }: Traffic): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { broken, kind } of connections)
    if (broken !== null) found[`${kind}: ${broken}`] = (found[`${kind}: ${broken}`] ?? 0) + 1;
  return found;
}

/** What rules did and would have done, all services and forwarders together. */
function sum(reports: readonly DefendReport[]): Record<'sourceRate' | 'cookies', DidWould> {
  const all = reports.flatMap(({ services }) => services.map(({ counts }) => counts));
  const total = (kind: 'sourceRate' | 'cookies'): DidWould => ({
    did: all.reduce((count, each) => count + each[kind].did, 0),
    would: all.reduce((count, each) => count + each[kind].would, 0),
  });
  return { sourceRate: total('sourceRate'), cookies: total('cookies') };
}

describe('real clients under floods', { skip, timeout: TIMEOUT_MS }, () => {
  let fleet: FloodFleet;
  before(async () => {
    fleet = await FloodFleet.start({ defend: { syn_cookies: 'always' } }, true, { health: CHECK });
    await fleet.untilCookies();
  });
  after(() => fleet?.close());

  const untilBackend = async (name: string, is: (backend: BackendStatus) => boolean): Promise<void> => {
    for (const deadline = Date.now() + UNTIL_MS; ; await delay(50)) {
      const all = await Promise.all(
        fleet.lab.forwarders.map(
          (_, index) => ask(fleet.lab.socket(index), '/status') as Promise<NodeStatus>,
        ),
      );
      const found = all.map(({ pools }) => pools[0]!.backends.find((each) => each.name === name)!);
      if (found.every(is)) return;
      assert.ok(Date.now() < deadline, JSON.stringify(found));
    }
  };

  async function drainAndUndrain(name: string): Promise<void> {
    const { lab } = fleet;
    const everywhere = (path: string) =>
      Promise.all(lab.forwarders.map((_, i) => tell(lab.socket(i), path, { backend: name, force: true })));
    await everywhere('/drain');
    await untilBackend(name, ({ slots }) => slots === 0);
    await delay(AFTER_CHANGE_MS);
    await everywhere('/undrain');
    await untilBackend(name, ({ slots }) => slots > 0);
  }

  /** The checks of a backend (index from 0) fail for a while; its connections go on. */
  async function flap(index: number): Promise<void> {
    const { name, namespace, host4 } = fleet.lab.backends[index]!;
    const nft = (rules: string): Promise<string> =>
      run(inNamespace(namespace, ['nft', '-f', '-']), { input: rules });
    await nft(`table ip flap {
chain input {
type filter hook input priority filter; policy accept;
ip daddr ${host4} tcp dport ${PORT} reject with tcp reset
}
}
`);
    await untilBackend(name, ({ health }) => health !== 'up');
    await delay(AFTER_CHANGE_MS);
    await nft('delete table ip flap\n');
    await untilBackend(name, ({ health }) => health === 'up');
  }

  test(`open ${CONNECTIONS} connections over IPv4 and IPv6 without a failure, and no SYN queue has an entry`, async (context) => {
    const witness = new Witness(fleet);
    const flooding = flood(fleet, SPOOFED_SYNS, { rate: RATE, seconds: OPENING_S + 3 });
    await delay(500);
    const clients = { held: CONNECTIONS, shortsPerSecond: 50, askEveryMs: CONNECTIONS };
    const traffic = await fleet.startClients(clients);
    const made = await flooding;
    await witness.stop();
    const { verdicts, kernelCookies } = witness.looks.at(-1)!;
    context.diagnostic(
      `${CONNECTIONS} connections; ${Math.round(made.rate)} spoofed SYNs a second for ${made.seconds.toFixed(1)} s; ` +
        `${verdicts['syn_cookie_answered']} answered`,
    );
    assert.ok(made.rate > RATE / 3, 'this machine is too slow for the test');
    assert.deepEqual(
      witness.looks.filter(({ halfOpen }) => halfOpen > 0).map(({ halfOpen }) => halfOpen),
      [],
      'half-open connections',
    );
    assert.equal(kernelCookies, 0);
    // Queues at the generator's end may have lost some.
    assert.ok(verdicts['syn_cookie_answered']! > made.packets * 0.9, JSON.stringify(verdicts));

    await drainAndUndrain('web-1');
    await flap(1);
    await traffic.stop();
    assert.deepEqual(failures(traffic), {});
    assert.ok(traffic.connections.length > CONNECTIONS);
  });

  test('lose nothing to rules that only observe: these count what they would drop or answer', async (context) => {
    fleet.reconfigure({ defend: OBSERVED });
    await fleet.until('observed', ({ mode }) => mode === 'observe');
    const before = await lookAt(fleet);
    const did = sum(await fleet.reports());
    await flood(fleet, HEAVY_SOURCE, { rate: 20_000, seconds: 1 });
    await flood(fleet, SPOOFED_SYNS, { rate: 20_000, seconds: 3 });
    const { sourceRate, cookies } = sum(await fleet.reports());
    const would = {
      drop: sourceRate.would - did.sourceRate.would,
      answer: cookies.would - did.cookies.would,
    };
    context.diagnostic(`would have dropped ${would.drop}, and answered ${would.answer}`);
    assert.equal(sourceRate.did + cookies.did, did.sourceRate.did + did.cookies.did);
    assert.ok(would.drop > 5_000, `${would.drop}`);
    assert.ok(would.answer > 10_000, `${would.answer}`);
    const { verdicts } = await lookAt(fleet);
    const ended = Object.keys(verdicts).filter(
      (name) => verdicts[name] !== before.verdicts[name] && !/^(forwarded|pass_)/.test(name),
    );
    assert.deepEqual(ended, []);
  });

  test('do not notice when cookies begin and end by themselves, nor when lists are swapped meanwhile', async (context) => {
    const directory = join(fleet.lab.resources.directory, 'lists');
    const file = join(directory, 'block.txt');
    mkdirSync(directory);
    /** One half of the spoofed IPv4 addresses or the other, and all of IPv6. */
    const put = (first: 0 | 128): void => {
      const prefixes = Array.from({ length: 128 }, (_, i) => `20.${first + i}.0.0/16`);
      writeFileSync(`${file}.new`, [...prefixes, SPOOFED_NETS[6], ''].join('\n'));
      renameSync(`${file}.new`, file);
    };
    put(0);
    fleet.reconfigure({ defend: { ...OBSERVED, mode: 'enforce', block: [{ file, reload: '1s' }] } });
    await fleet.until('enforced', ({ mode, lists }) => mode === 'enforce' && lists.block.prefixes4 === 128);
    await fleet.untilCookies();
    const traffic = await fleet.startClients({ held: 200, shortsPerSecond: 50, askEveryMs: 1_000 });
    const before = (await lookAt(fleet)).verdicts;
    let ended = false;
    const flooding = flood(fleet, SPOOFED_SYNS, { rate: 30_000, seconds: 4 }).finally(() => {
      ended = true;
    });
    let swaps = 0;
    for (let readMs = Date.now(); !ended; readMs = Date.now()) {
      put(swaps % 2 === 0 ? 128 : 0);
      await fleet.until('the next list', ({ lists }) =>
        lists.block.sources.every(({ loadedAt = '' }) => Date.parse(loadedAt) >= readMs),
      );
      swaps += 1;
    }
    const { packets } = await flooding;
    await fleet.until('cookies', ({ services }) =>
      services.some(({ cookies }) => cookies?.state === 'active'),
    );
    await fleet.until('no cookies', ({ services }) =>
      services.every(({ cookies }) => cookies?.state === 'idle'),
    );
    await traffic.stop();
    const { verdicts } = await lookAt(fleet);
    const blocked = (verdicts['drop_blocked'] ?? 0) - (before['drop_blocked'] ?? 0);
    context.diagnostic(`${swaps} swaps; ${blocked} of ${packets} packets were blocked`);
    assert.deepEqual(failures(traffic), {});
    assert.ok(swaps > 1, `${swaps} swaps`);
    // Half of IPv4, whichever list is in force.
    assert.ok(Math.abs(blocked / packets - 0.75) < 0.05, `${blocked} of ${packets}`);
  });
});
