/** What `anyhop announce --status` and `--region --once` draw for people. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RegionAnswerVip } from '#anyhop/announce/region/answer.js';
import type { AnnounceStatus } from '#anyhop/announce/status.js';
import { drawRegions } from '#anyhop/cli/announce-region.js';
import { drawAnnounceStatus } from '#anyhop/cli/announce-text.js';

const SINCE = '2027-01-01T12:00:00Z';
const STATUS: AnnounceStatus = {
  node: 'edge-1',
  version: '1.0.0',
  pid: 7,
  startedAt: SINCE,
  table: 179,
  networkNamespace: 1,
  heard: { state: 'serving', since: SINCE, reasons: [] },
  vips: [{ vip: '203.0.113.10', state: 'announced', since: SINCE, reason: 'ready', metric: 100 }],
};

describe('the text of anyhop announce', () => {
  it('calls the main table as the config does', () => {
    assert.match(drawAnnounceStatus(STATUS), /, table 179\n/);
    assert.match(drawAnnounceStatus({ ...STATUS, table: 254 }), /, table main\n/);
  });

  it('says where to look when there is no VIP, instead of an empty table', () => {
    const text = drawAnnounceStatus({ ...STATUS, vips: [] });
    assert.match(text, /announces no VIP: see services, announce\.vips and announce\.regions/);
    assert.doesNotMatch(text, /METRIC/);
  });

  it('says which VIPs of its region a node does not announce, and whether it could', () => {
    const drawn = (...vips: RegionAnswerVip[]): string => {
      const answer = { node: 'us-1', region: 'us', ready: false, draining: false, weight: 1, vips };
      return drawRegions({
        nodes: [{ name: 'us-1', region: 'us', view: { state: 'heard', answer } }],
        hosts: [
          {
            host: 'www',
            failsOpen: false,
            regions: [
              { name: 'us', vips: ['198.51.100.10', '2001:db8::10'], isUp: false, weight: 1 },
              { name: 'eu', vips: ['203.0.113.10'], isUp: true, weight: 1 },
            ],
          },
        ],
      });
    };
    const withdrawn = drawn({ vip: '198.51.100.10', state: 'withdrawn' });
    assert.match(
      withdrawn,
      /us-1 .*withdrawn: 198\.51\.100\.10; its config does not announce 2001:db8::10\n/,
    );
    const both = drawn(
      { vip: '198.51.100.10', state: 'announced' },
      { vip: '2001:db8::10', state: 'announced' },
    );
    assert.doesNotMatch(both, /withdrawn|does not announce/);
  });
});
