/** What HAProxy says about a config, at the field that caused it. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { checkGeneration } from '#anyhop/l7/haproxy/check.js';
import { Generations } from '#anyhop/l7/haproxy/generations.js';
import { type HaproxyProblem, problemsIn, readMessages } from '#anyhop/l7/haproxy/problems.js';
import {
  answering,
  identity,
  lines,
  ownAddress,
  rendering,
  temporaryRun,
  withoutHaproxy,
} from './haproxy-fixture.js';

describe('a check by HAProxy itself', { skip: withoutHaproxy }, () => {
  let place: ReturnType<typeof temporaryRun>;
  beforeEach(() => {
    place = temporaryRun();
  });
  afterEach(() => place.remove());

  async function problemsOf(text: string, files: Record<string, string> = {}): Promise<HaproxyProblem[]> {
    const user = await identity();
    const generations = await Generations.open(place.run, user);
    return checkGeneration(await generations.write(rendering(text, files)), 'haproxy', user);
  }

  it('accepts a good config, with files beside it, without a word', async () => {
    const text = answering(ownAddress(), {
      rules: '  http-request set-var(txn.x) req.hdr(host),map(DIRECTORY/maps/x.map)',
    });
    assert.deepEqual(await problemsOf(text, { 'maps/x.map': 'a b\n' }), []);
  });

  it('names the field of every line that HAProxy refuses, in its words', async () => {
    const good = answering(ownAddress());
    const count = good.trim().split('\n').length;
    const problems = await problemsOf(
      `${good.trimEnd()}\n  bogus\nbackend u_a\n  balance nonsense\n  server s1 127.0.0.1:99999`,
    );
    assert.deepEqual(
      problems.map(({ at, level }) => [at, level]),
      [
        [['line', count + 1], 'error'],
        [['line', count + 3], 'error'],
        [['line', count + 4], 'error'],
      ],
    );
    assert.equal(problems[0]!.message, "unknown keyword 'bogus' in 'frontend' section");
    for (const { message } of problems) assert.ok(!message.includes(place.run), message);
  });

  it('names the field of a section or a server of which HAProxy names no line', async () => {
    const idle = answering(ownAddress(), { sections: 'frontend f_idle\n  timeout client 1s' });
    const [problem, ...others] = await problemsOf(idle);
    assert.deepEqual(others, []);
    assert.deepEqual(problem, {
      level: 'warning',
      at: lineOf(idle, 'frontend f_idle'),
      message:
        "frontend 'f_idle' has no 'bind' directive. Please declare it as a backend if this was intended.",
    });
    const server = '  server s1 127.0.0.1:80 check ssl verify none weight 900';
    const heavy = answering(ownAddress(), { sections: `backend u_c\n${server}` });
    const problems = await problemsOf(heavy);
    assert.deepEqual(
      problems.map(({ at }) => at),
      [lineOf(heavy, server)],
    );
  });

  it('runs as the user that HAProxy will be, so a file of another one is not readable', async () => {
    const text = answering(ownAddress(), {
      rules: '  http-request set-var(txn.x) req.hdr(host),map(/etc/shadow)',
    });
    const problems = await problemsOf(text);
    assert.equal(problems.length, 1);
    assert.match(problems[0]!.message, /failed to open pattern file/);
  });

  it('refuses a config in which nothing listens, for which HAProxy has no error message', async () => {
    const problems = await problemsOf('global\n  maxconn 10');
    assert.equal(problems.at(-1)!.level, 'error');
    assert.match(problems.at(-1)!.message, /will not start \(no listener\)/);
  });
});

/** The path that the fixture gives to a line. */
function lineOf(text: string, line: string): unknown {
  return ['line', text.trim().split('\n').indexOf(line) + 1];
}

describe('a message of HAProxy', () => {
  const file = '/run/x/g1/haproxy.cfg';
  const rendered = lines(
    'global\nfrontend f_a\n  bind :80\nbackend u_a\n  server s1 10.0.0.1:80\n  server s2 10.0.0.2:80\nbackend u_b\n  server s2 10.0.0.3:80',
  );
  const at = (text: string): unknown => problemsIn(readMessages(text), file, rendered)[0]?.at;

  it('is found by a line number, in each of the forms that HAProxy has', () => {
    for (const text of [
      `[ALERT]    (1) : config : parsing [${file}:3] : unknown keyword`,
      `[ALERT] (1) : config : [${file}:3] : 'server u_c/s1' : weight`,
      `[ALERT]    (1) : Binding [${file}:3] for frontend f_a: cannot bind socket`,
    ])
      assert.deepEqual(at(text), ['line', 3], text);
  });

  it('is found by the names of a section and of a server in it', () => {
    assert.deepEqual(at("[WARNING] (1) : config : missing timeouts for backend 'u_a'."), ['line', 4]);
    assert.deepEqual(at("[ALERT] (1) : config : backend 'u_b', server 's2': unable to use x"), ['line', 8]);
    assert.deepEqual(at("[ALERT] (1) : config : server 'u_a/s2' : no"), ['line', 6]);
    assert.deepEqual(at("[ALERT] (1) : config : server 'u_a/s9' : no"), ['line', 4]);
    assert.deepEqual(at("[ALERT] (1) : config : backend 'nope' : no"), []);
  });

  it('spans several lines, and is shown once', () => {
    const text =
      "[WARNING]  (8379) : config : missing timeouts for frontend 'f_a'.\n   | While not invalid,\n   | you will.\n";
    assert.deepEqual(problemsIn(readMessages(text + text), file, rendered), [
      {
        level: 'warning',
        at: ['line', 2],
        message: "missing timeouts for frontend 'f_a'. While not invalid, you will.",
      },
    ]);
  });

  it('is printable, bounded, and within the config, whatever it is', () => {
    const odd = fc.array(
      fc.oneof(
        fc.constantFrom(
          '[ALERT]    (1) : ',
          '[WARNING] (2) : config : ',
          '\n',
          '   | ',
          `[${file}:`,
          '3]',
          "server '",
          "u_a/s1'",
          ' : ',
        ),
        fc.string({ unit: 'binary' }),
        fc.nat().map(String),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(odd, (parts) => {
        const problems = problemsIn(readMessages(parts.join('')), file, rendered);
        assert.ok(problems.length <= 50);
        for (const { at, message } of problems) {
          assert.ok(at.length === 0 || rendered.some((line) => line.at === at));
          assert.ok(!/[\p{Cc}\p{Cf}]/u.test(message));
          assert.ok(message.length <= 6 * 400);
        }
      }),
    );
  });
});
