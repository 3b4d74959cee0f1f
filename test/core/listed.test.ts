/** Lists in messages. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listed } from '#anyhop/core/listed.js';

it('names the first of many and says how many more there are, but never just one more', () => {
  assert.equal(listed([]), '');
  assert.equal(listed(['a', 'b', 'c', 'd']), 'a, b, c, d');
  assert.equal(listed(['a', 'b', 'c', 'd', 'e']), 'a, b, c and 2 more');
  assert.equal(listed([1, 2, 3, 4], { most: 1, separator: '; ', text: (n) => `#${n}` }), '#1 and 3 more');
});
