/** The fleets of former configs in a pinned map: what was written is read again, and damage is said and ends nothing. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FleetHistory, heldBy } from '#anyhop/agent/fleet-history.js';
import { readFleets, writeFleets } from '#anyhop/agent/fleet-pin.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { Logger, LogLine } from '#anyhop/core/log.js';
import { MappedArray } from '#anyhop/ffi/map.js';
import { Resources } from '../../scripts/lab/resources.js';
import { CONFIG, SKIP } from './fixture.js';

const configOf = (change: (text: string) => string = (text) => text) =>
  parseConfig(change(CONFIG), 'agent.yaml', { role: 'agent', env: {} });

describe('the pinned fleets', { skip: SKIP }, () => {
  let resources: Resources;
  let directory: string;
  before(() => {
    resources = new Resources();
    directory = join(resources.bpffs(), 'fleets');
    mkdirSync(directory);
  });
  after(() => resources.close());

  const events: string[] = [];
  const write: LogLine = ({ event }, text) => events.push(`${event} ${text}`);
  const log: Logger = { debug: write, info: write, warn: write, error: write };

  test('are read as they were written, in the place of those before', () => {
    assert.equal(readFleets(directory, log), undefined);
    const first = new FleetHistory(heldBy(configOf()));
    const second = first.next(
      configOf((text) =>
        text.replace('10.1.0.12}', '10.1.0.22, id: 900, agent: false}').replace('port: 53', 'port: 54'),
      ),
    );
    const claimed = first.withClaims(configOf((text) => text.replace('10.1.0.12}', '10.2.0.12}')));
    assert.equal(claimed.claims.length, 1);
    for (const history of [first, claimed, second]) {
      writeFleets(directory, history);
      const { present, former, claims } = readFleets(directory, log)!;
      assert.deepEqual([present, former, claims], [history.present, history.former, history.claims]);
    }
    assert.equal(second.former.length, 1);
    assert.deepEqual(readdirSync(directory), ['fleet']);
    assert.deepEqual(events, []);
  });

  for (const [name, text] of [
    ['no JSON', '{"present'],
    ['another shape', '{"present": 1}'],
    [
      'no address',
      JSON.stringify({
        present: { fleet: { forwarders: [], backends: ['10.1.0'], peers: [] }, settleMs: 1 },
        former: [],
      }),
    ],
  ] as const) {
    test(`are none when the text is of ${name}, and the log says so`, () => {
      events.length = 0;
      const map = MappedArray.create('anyhop_fleet', 4096);
      new Uint8Array(map.memory).set(Buffer.from(text));
      map.descriptor.pin(join(directory, 'damaged'));
      renameSync(join(directory, 'damaged'), join(directory, 'fleet'));
      map.close();
      assert.equal(readFleets(directory, log), undefined);
      assert.equal(events.length, 1);
      assert.match(events[0], /^state_unusable .*\/fleets\/fleet: .*are strangers$/s);
    });
  }
});
