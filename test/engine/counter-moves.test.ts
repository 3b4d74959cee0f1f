/** What services are known by when counter numbers are given anew: theirs goes along, and nobody inherits another's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renumber } from '#anyhop/engine/counter-moves.js';
import { isFlooded, setThreshold, stateWord } from '#anyhop/forward/guard-state.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { buildImage } from '#anyhop/image/build.js';
import { Image } from '#anyhop/image/read.js';
import { inputOf, NO_RULES, VIP4 } from '../forward/fixture.js';

const rules = { ...NO_RULES, synCookies: { mode: 'enforce', when: 'auto' } } as const;

/** A node of these services, whose counter numbers are in their order. */
function imageWith(generation: number, names: readonly string[]): Image {
  const input = inputOf({
    generation,
    services: names.map((_, i) => ({ vip: VIP4, protocol: 'tcp', port: 80 + i })),
    rules: names.map(() => rules),
  });
  return new Image(buildImage({ ...input, counterNames: { ...input.counterNames, services: names } }));
}

describe('what rules know of a service', () => {
  it('goes along with its number, and is gone with the service', () => {
    const pipeline = new Pipeline(imageWith(1, ['a', 'b', 'c']));
    const { guardState } = pipeline;
    for (const counter of [0, 1, 2]) {
      guardState.fill(100 + counter, stateWord(counter), stateWord(counter + 1));
      setThreshold(guardState, counter, 1000 + counter);
    }
    pipeline.synsPending.fill(7);
    const first = (counter: number) => guardState[stateWord(counter)];

    const next = imageWith(2, ['c', 'a']);
    renumber(pipeline, next);
    pipeline.publish(next);
    assert.deepEqual([first(0), first(1), first(2)], [102, 100, 0]);
    assert.ok(pipeline.synsPending.every((pending) => pending === 0));

    const more = imageWith(3, ['c', 'a', 'd']);
    renumber(pipeline, more);
    pipeline.publish(more);
    assert.deepEqual(
      [first(0), first(1), first(2)],
      [102, 100, 0],
      'a new service takes a number that another had',
    );
    assert.equal(isFlooded(guardState, 2, 50), false);
  });
});
