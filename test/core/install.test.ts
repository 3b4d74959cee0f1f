/** How a package that could not be built comes back; the commands were tried with and without a compiler (npm 11). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { installAgain } from '#anyhop/core/install.js';

describe('what brings back a package that npm could not build', () => {
  test('is the installation that the README names, where npm installed this program', () => {
    const command = installAgain('/usr/lib/node_modules/anyhop');
    assert.match(command, /^npm install -g --allow-scripts=cap,raw-socket \.\/anyhop-\*\.tgz$/);
    assert.ok(readFileSync('README.md', 'utf8').includes(command));
    const { allowScripts } = JSON.parse(readFileSync('package.json', 'utf8'));
    assert.deepEqual(command.match(/--allow-scripts=(\S+)/)![1].split(','), Object.keys(allowScripts));
  });

  test('is npm ci in a checkout, and never npm rebuild, which does nothing', () => {
    assert.equal(installAgain('/home/me/anyhop'), 'npm ci, in /home/me/anyhop');
    assert.equal(installAgain(), `npm ci, in ${process.cwd()}`);
  });
});
