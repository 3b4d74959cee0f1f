/** Whatever answers on a control socket or for an agent: a command shows it, and the terminal obeys none of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { drawReport } from '#anyhop/cli/agent-report.js';
import { drawAnnounceStatus } from '#anyhop/cli/announce-text.js';
import { drawChanges } from '#anyhop/cli/defend-change.js';
import { drawDefend } from '#anyhop/cli/defend-status-text.js';
import { drawDefendTop } from '#anyhop/cli/defend-top.js';
import { attack, defendedService, defendReport } from '../node/defend-report.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { anyhop } from './client.js';

const HOSTILE = 'evil\x1b]0;owned\x07\x1b[2J\x9b31m\u202e';
const SHOWN = 'evil\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m\\u202e';
/** What a terminal would obey; lines are ours. */
const OBEYED = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const drain = {
  since: '2024-05-01T12:00:00.000Z',
  deadline: '2024-05-01T13:00:00.000Z',
  connections: null,
  done: true,
};
const STATUS = nodeStatus({
  node: HOSTILE,
  readiness: { ready: false, reasons: [HOSTILE], services: [] },
  pools: [
    poolStatus('web', [
      backendStatus('web-1', { health: 'down', healthReason: `${HOSTILE}\nweb-9 is up since ever` }),
      backendStatus('web-2', { state: 'draining', drain: { ...drain, unknown: `${HOSTILE}\nforged` } }),
      backendStatus(HOSTILE, { nextHop: { missing: HOSTILE } }),
    ]),
  ],
});
const CHANGED = {
  generation: 1,
  pools: [{ pool: 'web', effect: 'in_force', changes: [HOSTILE] }],
  changes: [HOSTILE],
  warnings: [HOSTILE],
};

test('an announcer that is none of ours is shown, and obeyed in nothing', () => {
  const heard = { state: 'gone', since: HOSTILE, reasons: [HOSTILE] };
  const vip = { vip: HOSTILE, state: HOSTILE, since: HOSTILE, reason: HOSTILE, metric: HOSTILE };
  const status = { node: HOSTILE, version: HOSTILE, pid: HOSTILE, table: HOSTILE, heard, vips: [vip] };
  const text = drawAnnounceStatus({ ...status, held: { by: HOSTILE, since: '' } } as never);
  assert.doesNotMatch(text, OBEYED);
  assert.match(text, /process evil/);
});

test('"anyhop announce --status" and "--withdraw" say that what answers is no announcer', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ah-hostile-'));
  const socket = join(directory, 'a.sock');
  const server = createServer((_, response) => response.end('{"vips": 5}')).listen(socket);
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  await once(server, 'listening');
  const config = join(directory, 'anyhop.yaml');
  const pools = 'pools: {web: {backends: [{name: web-1, address: 10.1.0.11}]}}';
  const services = 'services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]';
  writeFileSync(config, `${pools}\n${services}\nnode: {name: edge-1}\nannounce: {socket: ${socket}}\n`);
  for (const mode of ['--status', '--withdraw', '--resume']) {
    const { code, stdout, stderr } = await anyhop(['announce', mode, '-c', config]);
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr, /what answers on .*a\.sock is no "anyhop announce" of this version/);
  }
});

describe('a node that is none of ours', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ah-hostile-'));
  const socket = join(directory, 'node.sock');
  const server = createServer((request, response) => {
    const refused = request.url === '/weight' || request.url === '/reload';
    const refusal = { error: { code: 'ERR_X', message: HOSTILE, hint: HOSTILE } };
    const answers: Record<string, unknown> = {
      '/status': STATUS,
      '/ready': STATUS.readiness,
      '/drain': CHANGED,
    };
    response.writeHead(refused ? 409 : 200, { 'content-type': 'application/json' });
    response.end(
      request.url === '/undrain' ? HOSTILE : JSON.stringify(refused ? refusal : answers[request.url!]),
    );
  });
  before(async () => {
    server.listen(socket);
    await once(server, 'listening');
  });
  after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });

  for (const args of [
    ['status'],
    ['top', '--by', 'backend'],
    ['ready'],
    ['drain', 'web-2'],
    ['drain', 'web-2', '--wait'],
    ['undrain', 'web-2'],
  ])
    test(`writes nothing to the terminal by way of "anyhop ${args.join(' ')}"`, async () => {
      const { stdout, stderr } = await anyhop([...args, '--socket', socket]);
      assert.doesNotMatch(stdout, OBEYED);
      assert.doesNotMatch(stderr, OBEYED);
      assert.ok(
        `${stdout}${stderr}`.includes(args[0] === 'undrain' ? 'evil\\u001b' : SHOWN),
        'it is shown all the same',
      );
      assert.doesNotMatch(stdout, /^(?:forged|web-9 is up)/m, 'and makes no line of its own');
    });

  test('refuses in its own words, which are shown too', async () => {
    for (const args of [['weight', 'web-1', '2'], ['reload']]) {
      const { stdout, stderr, code } = await anyhop([...args, '--socket', socket]);
      assert.deepEqual([stdout, code], ['', 1]);
      assert.equal(stderr, `anyhop: ${SHOWN}\n  ${SHOWN}\n`);
    }
  });

  test('gives machines what it said, in JSON that a terminal can show', async () => {
    const { stdout } = await anyhop(['status', '--json', '--socket', socket]);
    assert.doesNotMatch(stdout, OBEYED);
    assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(STATUS)));
  });
});

test('an argument that is wrong is repeated as text', async () => {
  const { stderr } = await anyhop([`\x1b[2J${HOSTILE}`]);
  assert.match(stderr, /unknown command '\\u001b\[2Jevil/);
  assert.doesNotMatch(stderr, OBEYED);
});

test('the report of a defence is drawn with its texts as text, and none makes a line of its own', () => {
  const evil = `${HOSTILE}\nforged`;
  const source = { from: evil, prefixes: 1, problem: evil, loadedAt: evil };
  const drawn = [
    drawDefend({
      ...defendReport(),
      services: [defendedService(evil)],
      lists: {
        allow: { prefixes4: 0, prefixes6: 0, sources: [source] },
        block: { prefixes4: 0, prefixes6: 0, sources: [source] },
        bytes: 0,
        problem: evil,
      },
      blocks: [{ prefix: evil, verdict: evil as 'block', since: evil, until: evil, why: evil }],
      withoutCookies: [{ pool: evil, backend: evil, why: evil }],
      attacks: [attack({ service: evil, kind: evil as 'blocked' }), attack({ service: evil, until: evil })],
    }),
    drawDefendTop({ sources: [{ source: evil, packetsPerSecond: 1, dropped: 1, scope: evil }] }, 9, {
      report: { sources: [] },
      agoMs: 1,
    }),
    drawChanges('block', {
      changes: [{ prefix: evil, effect: 'added', until: evil }],
      warnings: [evil],
    }),
  ].join('');
  assert.doesNotMatch(drawn, OBEYED);
  assert.doesNotMatch(drawn, /^forged/m);
});

test("an agent's report is drawn with its names as text", () => {
  const drawn = drawReport({
    version: HOSTILE,
    startedAt: HOSTILE,
    vips: [],
    verdicts: { [HOSTILE]: 1 },
    draining: true,
    forwarders: [{ address: HOSTILE, draining: true, agoMs: 0, everyMs: 0 }],
  });
  assert.doesNotMatch(drawn, OBEYED);
  assert.match(drawn, /evil\\u001b/);
});

test('every command writes by cli/output.ts', () => {
  for (const file of readdirSync('src/cli')) {
    if (file === 'output.ts') continue;
    assert.doesNotMatch(
      readFileSync(join('src/cli', file), 'utf8'),
      /process\.std(?:out|err)\.write|console\./,
      file,
    );
  }
  assert.doesNotMatch(readFileSync('src/anyhop.ts', 'utf8'), /process\.std(?:out|err)\.write|console\./);
});
