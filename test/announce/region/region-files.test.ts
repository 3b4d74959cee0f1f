/** The files of the regions: who may read them, in which order they change, and when the DNS server is told. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { HostState } from '#anyhop/announce/region/judge.js';
import { RegionFiles } from '#anyhop/announce/region/region-files.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { address, keptLog } from './fixture.js';

const VIP = '203.0.113.10';

function host(weight: number, isUp = true): HostState[] {
  return [{ host: 'www', failsOpen: false, regions: [{ name: 'eu', vips: [address(VIP)], isUp, weight }] }];
}

let directory: string;
let umask: number;
before(() => {
  umask = process.umask(0o077);
  directory = mkdtempSync(join(tmpdir(), 'anyhop-region-files-'));
});
after(() => {
  process.umask(umask);
  rmSync(directory, { recursive: true });
});

/** Files in a directory of their own, and what each reload saw in them. */
function make(name: string, code = () => 0) {
  const own = join(directory, name);
  mkdirSync(own);
  const file = join(own, 'states');
  const seen: string[] = [];
  const log = keptLog();
  const files = new RegionFiles({ file, reload: ['gdnsdctl', 'replace'] }, log, async (program, args) => {
    const weight = /, (\d+) \]/.exec(readFileSync(`${file}.weights`, 'utf8'))?.[1];
    const state = / => (\w+)/.exec(readFileSync(file, 'utf8'))?.[1];
    seen.push(`${[program, ...args].join(' ')}: ${state} ${weight}`);
    return { code: code(), stdout: '', stderr: 'the config is broken' };
  });
  return { own, file, seen, log, files };
}

describe('the files of the regions', () => {
  it('say why they cannot be written before the DNS server starts, and what to do', async () => {
    const { own, file, files } = make('blocked');
    mkdirSync(file); // a directory in its place
    await assert.rejects(files.setOnce(host(1)), (error: unknown) => {
      assert.ok(error instanceof AnyhopError);
      assert.match(error.message, /blocked\/states cannot be written: /);
      assert.match(String(error.hint), new RegExp(`chown -R gdnsd ${own}`));
      return true;
    });
    await files.close();
  });

  it('are whole when the DNS server is told, which is only when something has changed', async () => {
    const { own, file, seen, files } = make('told');
    await files.set(host(2));
    await files.set(host(2));
    await files.set(host(3));
    await files.set(host(3, false));
    await files.close();
    assert.deepEqual(seen, ['gdnsdctl replace: UP 2', 'gdnsdctl replace: UP 3', 'gdnsdctl replace: DOWN 3']);
    assert.deepEqual(readdirSync(own).sort(), ['states', 'states.weights']);
    for (const each of [file, `${file}.weights`])
      assert.equal(statSync(each).mode & 0o777, 0o644, 'for the user of the DNS server, whatever the umask');
  });

  it('are tried again after a reload that failed, which is said once', async () => {
    let code = 42;
    const { seen, log, files } = make('again', () => code);
    await files.set(host(2));
    await files.set(host(2));
    code = 0;
    await files.set(host(2));
    await files.set(host(2));
    await files.close();
    assert.equal(seen.length, 3);
    assert.deepEqual(
      log.lines.map(({ event }) => event),
      ['regions_not_written', 'regions_written'],
    );
    assert.match(
      log.lines[0]!.text,
      /gdnsd follows states, not weights, until it does: .*the config is broken/,
    );
  });

  it('are written elsewhere when the config says so, in a directory that is made for them', async () => {
    const { own, seen, files } = make('moved');
    await files.set(host(2));
    await files.move({ file: join(own, 'new', 'states'), reload: [] });
    await files.close();
    assert.equal(seen.length, 1);
    assert.deepEqual(readdirSync(join(own, 'new')).sort(), ['states', 'states.weights']);
    assert.equal(statSync(join(own, 'new')).mode & 0o022, 0);
  });

  it('are not told of when they cannot be written, or others could write there', async () => {
    const { own, seen, log, files } = make('open');
    chmodSync(own, 0o777);
    await files.set(host(2));
    await files.close();
    assert.deepEqual([seen, readdirSync(own)], [[], []]);
    assert.match(
      log.lines[0]!.text,
      /^the files of the regions cannot be written: .*can be written by others/,
    );
  });
});
