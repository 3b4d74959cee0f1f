/** `docs/reference/control-api.md`: what the control socket answers, from the list of routes and their schemas. */
import type { z } from 'zod';
import type { ControlActions } from '#anyhop/api/api.js';
import { controlRoutes, type Route } from '#anyhop/api/routes.js';
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
    'The types are in `src/api/api.ts` and `src/api/status.ts`. Names are stable; more may be added.',
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
        ['429', '`ERR_BUSY`', 'too many changes wait for their turn'],
      ],
    ),
  );
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
