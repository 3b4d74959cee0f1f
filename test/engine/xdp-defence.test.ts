/** What rules of defence have counted survives the process of the engine xdp, and its program's replacement. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { imageOf, NO_RULES, VIP4 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { flowsTo } from './contract-frames.js';
import type { EngineRequest } from './engine-process.js';
import { forgeAbout } from './forge.js';
import { createXdpLink, here, LINK } from './link.js';
import { Peer } from './peer.js';

const PACKETS = 20;

describe('the state of defence', { skip: missingForIsolation() }, () => {
  it('goes on when the process is killed, when another program takes its place, and when its maps are outgrown', async (t) => {
    const link = await createXdpLink();
    t.after(() => link.resources.close());
    const open = (): Peer<EngineRequest> => {
      const peer = new Peer<EngineRequest>(link.node, here('engine-process.js'), ['xdp', LINK, link.bpffs]);
      t.after(() => peer.close());
      return peer;
    };
    const [frame] = flowsTo(VIP4, 1);
    const passes = async (engine: Peer<EngineRequest>): Promise<boolean> =>
      (await engine.ask({ ask: 'try', frame })) !== null;
    const image = (generation: number, services = 1): Uint8Array =>
      imageOf({
        generation,
        services: Array.from({ length: services }, (_, i) => ({ vip: VIP4, protocol: 'tcp', port: 80 + i })),
        rules: Array.from({ length: services }, () => ({
          ...NO_RULES,
          // A window that does not end within the test.
          sourceRate: {
            mode: 'enforce',
            packets: PACKETS,
            syn: undefined,
            perMs: 3_600_000,
            prefix4: 32,
            prefix6: 64,
            network: undefined,
          },
        })),
      }).bytes;

    let engine = open();
    await engine.ask({ ask: 'start', image: image(1) });
    for (let i = 0; i < PACKETS; i++) assert.ok(await passes(engine), `packet ${i}`);
    assert.equal(await passes(engine), false);
    await engine.kill();

    engine = open();
    await engine.ask({ ask: 'start', image: image(2) });
    assert.equal(await passes(engine), false, 'after a kill');
    await engine.kill();

    forgeAbout(link.bpffs, { program: 'another' });
    engine = open();
    await engine.ask({ ask: 'start', image: image(3) });
    assert.equal(await passes(engine), false, 'with another program');

    await engine.ask({ ask: 'publish', image: image(4, 200), afterPackets: 0 });
    assert.equal(await passes(engine), false, 'with larger maps');

    const { verdicts, guarded } = (await engine.ask({ ask: 'counters' })) as {
      verdicts: Record<string, number>;
      guarded: number[];
    };
    const counted = ['forwarded', 'drop_source_rate'].filter((name) => name in verdicts);
    assert.deepEqual(counted, [], 'what is only tried is not counted');
    assert.ok(guarded.every((count) => count === 0));
  });
});
