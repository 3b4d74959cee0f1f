/** The flow hash key of a fleet stays as it is in force, whatever a file of the operator says. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { candidateFrom } from '#anyhop/cli/fleet-candidate.js';
import { type Candidate, candidateOf } from '#anyhop/cli/fleet-change.js';
import type { FleetView, MemberView } from '#anyhop/fleet/view.js';

const POOLS = `pools:
  web:
    backends: [{name: web-1, address: 10.1.0.11}]
`;
/** As YAML reads the second without quotes, a number. */
const [OLD, NEW] = ['957ba6bd1fa59302', '1234567890123456'];
const withKey = (id: string): string => `node:\n  key_id: "${id}"\n${POOLS}`;
const inForce = (text: string): Candidate => candidateOf(text, 'revision 7');
const forwarder = (id: string): MemberView =>
  ({ role: 'forwarder', said: { keys: { inForce: id, held: [OLD, NEW] } } }) as unknown as MemberView;
const fleetOf = (...ids: string[]): FleetView => ({ members: ids.map(forwarder) }) as unknown as FleetView;
const kept = (text: string, before: Candidate | undefined, view: FleetView, isFormer = false) => {
  const { candidate, notes } = candidateFrom(text, 'fleet.yaml', before, view, isFormer);
  return { text: candidate.text, notes };
};

describe('the flow hash key in force', () => {
  it('is kept where a file does not say it, and that is told', () => {
    for (const id of [OLD, NEW])
      assert.deepEqual(kept(POOLS, inForce(withKey(id)), fleetOf(id)), {
        text: `${POOLS}node:\n  key_id: ${id === OLD ? OLD : `"${NEW}"`}\n`,
        notes: [`node.key_id stays ${id}: fleet.yaml does not say it`],
      });
  });

  it('is nobody else’s to change: another one is refused, with the command that changes it', () => {
    for (const before of [withKey(NEW), POOLS])
      assert.throws(() => kept(withKey(OLD), inForce(before), fleetOf(NEW)), {
        code: 'ERR_FLEET',
        message: `fleet.yaml: node.key_id is ${OLD}, and flows are hashed with ${NEW}`,
        hint: new RegExp(`anyhop fleet rotate-key ${OLD}`),
      });
  });

  it('stays when an earlier revision comes back that had a former one', () => {
    const { text, notes } = kept(withKey(OLD), inForce(withKey(NEW)), fleetOf(NEW), true);
    assert.equal(text, withKey(NEW));
    assert.deepEqual(notes, [`node.key_id stays ${NEW}: not ${OLD}, as fleet.yaml has it`]);
  });

  it('is not written where the fleet never said it, nor judged where nothing is in force or forwarders differ', () => {
    assert.equal(kept(POOLS, inForce(POOLS), fleetOf(OLD)).text, POOLS);
    assert.equal(kept(withKey(OLD), inForce(POOLS), fleetOf(OLD)).text, withKey(OLD));
    assert.equal(kept(withKey(OLD), inForce(POOLS), fleetOf(OLD, NEW)).text, withKey(OLD));
    assert.equal(kept(withKey(OLD), undefined, fleetOf()).text, withKey(OLD));
  });
});

describe('a secret in a file of the operator', () => {
  it('is refused however its key is written, and names that only contain the word are not', () => {
    for (const key of ['key', '"key"', '? key\n  ', String.raw`"k\u0065y"`])
      assert.throws(
        () => candidateOf(`${POOLS}node:\n  ${key}: ${'ab'.repeat(32)}\n`, 'fleet.yaml'),
        /fleet\.yaml.*node\.key: found a secret/,
        key,
      );
    assert.ok(candidateOf(`${POOLS}node:\n  key_file: /etc/anyhop/key\n`, 'fleet.yaml'));
  });
});
