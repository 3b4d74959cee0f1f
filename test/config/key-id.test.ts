/** node.key_id in a text of which nothing else changes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { withKeyId } from '#anyhop/config/edit/key-id.js';
import { mergedText } from '#anyhop/config/fleet/merged.js';

const ID = '957ba6bd1fa59302';
/** As YAML reads them without quotes, a number. */
const [LIKE_A_NUMBER, LIKE_A_FLOAT] = ['1234567890123456', '12e4567890123456'];

describe('node.key_id', () => {
  it('is written where it belongs, and all else stays byte for byte', () => {
    for (const [before, after] of [
      ['# c\npools: {}\n', `# c\npools: {}\nnode:\n  key_id: ${ID}\n`],
      ['pools: {}', `pools: {}\nnode:\n  key_id: ${ID}\n`],
      [
        'node: # own\n    # engine\n    engine: xdp # x\npools: {}\n',
        `node: # own\n    # engine\n    key_id: ${ID}\n    engine: xdp # x\npools: {}\n`,
      ],
      ['node: {engine: xdp}\n', `node: {key_id: ${ID}, engine: xdp}\n`],
      [
        `node:\n  engine: xdp\n  key_id: '${LIKE_A_FLOAT}' # last\n`,
        `node:\n  engine: xdp\n  key_id: '${ID}' # last\n`,
      ],
      ['node:\r\n  engine: xdp\r\n', `node:\r\n  key_id: ${ID}\r\n  engine: xdp\r\n`],
    ] as const)
      assert.equal(withKeyId(before, 'f', ID), after);
  });

  it('is a text, whatever its digits', () => {
    for (const id of [LIKE_A_NUMBER, LIKE_A_FLOAT, '0000000000000000'])
      for (const text of ['node:\n  engine: xdp\n', 'node: {engine: xdp}\n', 'pools: {}\n'])
        assert.equal(parse(withKeyId(text, 'f', id)).node.key_id, id);
  });

  it('is refused where other parts of the text refer to the section, or it has nothing', () => {
    for (const text of ['node: &n {engine: xdp}\nagent: *n\n', 'node:\n', 'node: []\n', '{pools: {}}\n'])
      assert.throws(() => withKeyId(text, 'f', ID), { code: 'ERR_CONFIG' });
  });

  it("is the fleet's to say, as soon as it does", () => {
    const own = `node: {name: edge-1, key_id: '${LIKE_A_NUMBER}'}\nfleet: {name: lab}\n`;
    assert.equal(parse(mergedText(`node: {key_id: ${ID}}\n`, own)).node.key_id, ID);
    assert.equal(parse(mergedText('node: {engine: xdp}\n', own)).node.key_id, LIKE_A_NUMBER);
  });
});
