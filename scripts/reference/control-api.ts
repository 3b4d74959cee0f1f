/** `docs/reference/control-api.md`: what the control socket answers, from the list of routes and their schemas. */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import type { ControlActions } from '#anyhop/api/api.js';
import type { Route } from '#anyhop/api/route.js';
import { controlRoutes } from '#anyhop/api/routes.js';
import { FOLLOW_LINE_MS, FOLLOW_SILENCE_MS, FOLLOWERS_MAX } from '#anyhop/core/limits.js';
import { formatDuration } from '#anyhop/core/time.js';
import { fieldsOf } from './config.js';
import { cell, code, page, table } from './markdown.js';

/** The list is read, and none of its routes is asked. */
const NOBODY = {} as ControlActions;

export function controlApiPage(): string {
  const routes = controlRoutes(NOBODY);
  return page(
    'Control API',
    'the routes of the control socket',
    'A node answers HTTP with JSON on its control socket, `/run/anyhop/NAME.sock` (`node.socket`). The user and the group of the node may ' +
      'use it. A connection takes one request.',
    '    curl -s --unix-socket /run/anyhop/edge-1.sock http://node/health | jq\n' +
      '    curl -s --unix-socket /run/anyhop/edge-1.sock --json \'{"backend": "web-2"}\' http://node/drain',
    table(
      ['request', 'what it does', 'answers'],
      routes.map(({ method, path, does, answers }) => [code(`${method} ${path}`), cell(does), cell(answers)]),
    ),
    'The types are in `src/api/api.ts`, `src/api/status.ts`, `src/api/follow.ts`, `src/api/capture.ts`, `src/api/defend.ts` and `src/api/trace.ts`. Names are stable; more may be added.',
    followSection(),
    '## Fields',
    'A GET takes them in its query, a POST in its JSON body.',
    table(['request', 'field', 'meaning', 'accepts', 'default'], routes.flatMap(fieldRows)),
    '## Errors',
    'An error comes back as `{"error": {"code", "message", "hint"?, "problems"?}}`. A status of 4xx means that nothing was changed; 5xx is a fault of ' +
      'the node.',
    table(
      ['status', 'code', 'meaning'],
      [
        ['400', '`ERR_REQUEST`, `ERR_HTTP`', 'a field is wrong, and is named; or the request is not HTTP'],
        ['404', '`ERR_NOT_FOUND` and others', 'there is no such path, pool, backend, service or change'],
        ['405', '`ERR_METHOD`', 'the path takes another method'],
        ['408', '`ERR_TIMEOUT`', 'the request did not arrive in time'],
        ['409', '', 'the change takes `force`, a restart or another id; the message says which'],
        ['413, 431', '`ERR_TOO_LARGE`', 'body or headers are too large'],
        ['415', '`ERR_CONTENT_TYPE`', 'the body is not said to be JSON'],
        ['417', '`ERR_EXPECTATION`', 'only `expect: 100-continue` is met'],
        ['422', '`ERR_CONFIG`', 'the config file is wrong; `problems` lists every place'],
        [
          '429',
          '`ERR_BUSY`',
          'too many changes wait for their turn, too many clients follow, or somebody captures already',
        ],
      ],
    ),
  );
}

/** The types of the lines, as the program has them. */
function followSection(): string {
  const source = readFileSync('src/api/follow.ts', 'utf8');
  const types = source.slice(source.indexOf('export interface')).trimEnd();
  return [
    '## Following a node',
    `The answer to \`GET /follow\` goes on until the process ends: a line of JSON at once, after every change, and each ${formatDuration(FOLLOW_LINE_MS)}. ` +
      'The first line and those after a change are whole, so a reader needs only the newest of them. The others are `FollowSame`, short: the node ' +
      'lives, and nothing has changed. A slow reader gets fewer lines; one that takes none for ' +
      `${formatDuration(FOLLOW_SILENCE_MS)} loses its connection. ${FOLLOWERS_MAX} clients may follow at a time. After \`left\` the stream ends; ` +
      'when the process is killed, or its start fails, the stream ends without that line.',
    '    curl -sN --unix-socket /run/anyhop/edge-1.sock http://node/follow | jq -c \'.phase // "the same"\'',
    `\`\`\`ts\n${types}\n\`\`\``,
  ].join('\n\n');
}

function fieldRows({ method, path, fields }: Route): string[][] {
  return fieldsOf(fields as z.ZodObject, '').map((field) => [
    code(`${method} ${path}`),
    code(field.path),
    cell(field.meaning),
    cell(field.accepted),
    field.default === undefined ? (field.required ? 'required' : '') : code(field.default),
  ]);
}
