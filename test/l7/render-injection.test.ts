/** No value of the config becomes a directive of HAProxy (injection.ts), and no name of a file an option of a certificate. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadCertificate } from '#anyhop/config/l7/certificates.js';
import { checkGeneration } from '#anyhop/l7/haproxy/check.js';
import { Generations } from '#anyhop/l7/haproxy/generations.js';
import { renderL7 } from '#anyhop/l7/render/render.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { temporaryRun, withoutHaproxy } from './haproxy-fixture.js';
import { mapEntries, wordsOf } from './haproxy-words.js';
import { checkInjection } from './injection.js';
import { loadL7, SERVER_NET } from './render-fixture.js';

const VALUES = 10_000;

describe('a hostile value', () => {
  let place: ReturnType<typeof temporaryRun>;
  before(() => {
    place = temporaryRun();
  });
  after(() => place.remove());

  it('is refused, or stands in its place as it is, and changes no directive', async (t) => {
    const run = withoutHaproxy === false ? place.run : undefined;
    const { tried, refusedByLoader, refusedByRenderer } = await checkInjection({ values: VALUES, run });
    t.diagnostic(
      `${tried} values: ${refusedByLoader} refused by the loader, ${refusedByRenderer} by the renderer`,
    );
    for (const refused of [refusedByLoader, refusedByRenderer])
      assert.ok(refused > tried / 10 && refused < (tried / 2) * 0.9, `${refused} of ${tried / 2}`);
  });

  it('as the name of a certificate becomes no option of it', { skip: withoutHaproxy }, async () => {
    const directory = join(dirname(place.run), 'files');
    mkdirSync(join(directory, 'certs'), { recursive: true });
    const authority = await createAuthority(directory);
    const good = join(directory, 'certs', 'good.pem');
    await authority.serverCertificate(good, ['shop.example.com']);
    const config = loadL7(
      {
        frontends: { web: { services: ['https'], certificates: 'certs', routes: [{ to: 'shop' }] } },
        upstreams: { shop: { servers: [{ name: 'shop-1', address: `${SERVER_NET}.1`, port: 8080 }] } },
      },
      directory,
    );
    const names = [
      'plain.pem',
      'a b.pem',
      ' .pem',
      '.pem',
      '-f.pem',
      '#.pem',
      'x.pem [alpn h1] *.evil.example\n.pem',
      'x\n/etc/passwd\n.pem',
      '[verify none].pem',
      '\'"\\$HOME.pem',
      '..pem',
      `${'long'.repeat(60)}.pem`,
      'é.pem',
      'A.pem',
      'a.pem',
    ];
    const certificate = loadCertificate(good);
    const certificates = names.map((name) => ({ ...certificate, path: `/etc/anyhop/certs/${name}` }));
    const generations = await Generations.open(place.run, undefined);
    const generation = await generations.write((at) =>
      renderL7(config, { directory: at, certificates: new Map([['web', certificates]]), now: new Date() }),
    );
    assert.deepEqual(await checkGeneration(generation, 'haproxy', undefined), []);
    const { files, lines } = generation.rendering;
    const bind = wordsOf(lines.find(({ text }) => text.startsWith('  bind '))!.text);
    const list = bind[bind.indexOf('crt-list') + 1]!;
    const entries = mapEntries(files.get(list.slice(generation.directory.length + 1))!);
    assert.equal(new Set(entries.map(([path]) => path)).size, names.length);
    for (const [path, options] of entries) {
      assert.equal(options, '');
      assert.match(path, /^[A-Za-z0-9/._-]+$/);
      assert.ok(files.has(path.slice(generation.directory.length + 1)), path);
    }
  });

  it('beside a certificate in its file is left out', async () => {
    const directory = join(dirname(place.run), 'beside');
    mkdirSync(directory);
    const authority = await createAuthority(directory);
    const file = join(directory, 'x.pem');
    await authority.serverCertificate(file, ['shop.example.com']);
    const certificate = loadCertificate(file);
    const clean = Buffer.from(certificate.pem.reveal()).toString();
    writeFileSync(file, `Bag Attributes: \x1b[2J\n${clean}\nissuer=evil\n`);
    assert.equal(Buffer.from(loadCertificate(file).pem.reveal()).toString(), clean);
  });
});
