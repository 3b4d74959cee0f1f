/** Neighbour discovery to a VIP: the host's, if the link sent it; otherwise dropped as any other packet. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { frame, ipv6, NODE_MAC, tcp } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';
import { hostsDiscovery, nearlyDiscovery } from '../packets/neighbour.js';
import { Runner, VIP6 } from './fixture.js';

describe('neighbour discovery for a VIP', () => {
  const runner = new Runner({ mac: macBytes(NODE_MAC) });

  for (const { name, frame } of hostsDiscovery(VIP6)) {
    it(`passes: ${name}`, () => assert.equal(runner.run(frame).verdict, 'pass_neighbour'));
  }

  for (const { name, frame } of nearlyDiscovery(VIP6)) {
    it(`is dropped ${name}`, () => assert.equal(runner.run(frame).action, 'drop'));
  }

  it('is dropped wherever the frame ends early, and without a read beyond its end', () => {
    const [{ frame: whole }] = hostsDiscovery(VIP6);
    for (let length = 54; length < whole.length; length++)
      assert.equal(runner.run(whole.subarray(0, length)).action, 'drop', `${length} bytes`);
  });

  it('by a length beyond the frame is dropped, and by a shorter one passes while a header is left', () => {
    const [{ frame: whole }] = hostsDiscovery(VIP6);
    for (const [payload, verdict] of [
      [25, 'drop_bad_length'],
      [24, 'pass_neighbour'],
      [8, 'pass_neighbour'],
      [7, 'drop_bad_source'],
    ] as const) {
      const changed = whole.slice();
      changed[19] = payload;
      assert.equal(runner.run(changed).verdict, verdict, `payload length ${payload}`);
    }
  });

  it('in a frame for another machine is that one’s', () => {
    const [{ frame: stray }] = hostsDiscovery(VIP6, '02:00:00:00:00:99');
    assert.equal(runner.run(stray).verdict, 'pass_other_host');
  });

  it('does not take anything else from a link-local address along', () => {
    const syn = frame({}, ipv6({ src: 'fe80::2', dst: VIP6, hopLimit: 255 }), tcp({ sport: 1, dport: 80 }));
    assert.equal(runner.run(syn).verdict, 'drop_bad_source');
  });
});
