import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnyhopError } from '#anyhop/core/errors.js';
import { eventText, parseScript } from '#anyhop/sim/event.js';
import { randomEvents } from '#anyhop/sim/random-events.js';
import { anyEvent } from './scenario.js';

test('a script is read back as the events that it was written from', () => {
  fc.assert(
    fc.property(fc.array(anyEvent), fc.constantFrom(', ', ';\n', '\n'), (events, between) => {
      const script = events.map(eventText).join(between);
      assert.equal(parseScript(script).map(eventText).join(between), script);
    }),
  );
});

test('flap stands for down, wait and up; comments and empty phrases do not count', () => {
  const events = parseScript('flap web-1 2.5 on node-2; # a comment, with a comma\n,, add web-9');
  assert.deepEqual(events.map(eventText), [
    'down web-1 on node-2',
    'wait 2.5',
    'up web-1 on node-2',
    'add web-9 1',
  ]);
});

test('a phrase that is no event is refused, with those that are', () => {
  for (const script of [
    'drian web-1',
    'drain',
    'drain web-1 web-2',
    'weight web-1',
    'wait',
    'wait -1',
    'force rehash',
  ]) {
    assert.throws(
      () => parseScript(`rehash, ${script}`),
      (error) =>
        error instanceof AnyhopError &&
        error.message.includes(JSON.stringify(script)) &&
        error.hint?.includes('drain|undrain') === true,
      script,
    );
  }
});

test('random events are the same for the same seed, and others for another', () => {
  const options = { backends: 5, nodes: 3, settleMs: 1000 };
  const text = (seed: number) => randomEvents(seed, 20, options).map(eventText).join(', ');
  assert.equal(text(7), text(7));
  assert.notEqual(text(7), text(8));
});
