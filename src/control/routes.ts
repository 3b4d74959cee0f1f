/**
 * The control API over HTTP: which method of which path is which action of the node (api.ts), and the one place where what
 * a client sent is checked. An action gets checked values alone.
 */
import { z } from 'zod';
import { integer, text } from '../config/fields.js';
import { nearest } from '../config/nearest.js';
import { quote } from '../config/path.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../config/schema.js';
import { WEIGHT_MAX } from '../core/limits.js';
import { type Endpoint as PacketEndpoint, parseEndpoint } from '../packet/compose.js';
import { type ControlActions, ControlError } from './api.js';
import { inForceParts } from './in-force.js';
import type { Endpoint, Routes, Sent } from './responder.js';
import { tableParts } from './table-parts.js';

const ENDPOINT_EXPECTED = 'ADDRESS:PORT, and [ADDRESS]:PORT for IPv6';
const name = text(NAME_EXPECTED, NAME_PATTERN);
const force = z.boolean({ error: 'true or false' }).default(false);
const endpoint = z.string({ error: ENDPOINT_EXPECTED }).transform((text, context): PacketEndpoint => {
  const parsed = parseEndpoint(text);
  if (parsed === undefined) context.addIssue(ENDPOINT_EXPECTED);
  return parsed!;
});
const target = {
  backend: name,
  pool: name.optional(),
  force,
  plan: z.boolean({ error: 'true or false' }).default(false),
};
/** `web:3` */
const ID_PATTERN = new RegExp(`${NAME_PATTERN.source.slice(0, -1)}:[1-9][0-9]{0,15}$`);
const BODY = {
  none: z.strictObject({}),
  change: z.strictObject({ force }),
  target: z.strictObject(target),
  id: z.strictObject({ id: text('the id of a change that waits, such as "web:3"', ID_PATTERN) }),
  weight: z.strictObject({
    ...target,
    weight: integer(`a whole number, 0 to ${WEIGHT_MAX}`, 0, WEIGHT_MAX),
  }),
};
const QUERY = {
  none: z.strictObject({}),
  pool: z.strictObject({ pool: name.optional() }),
  service: z.strictObject({ service: name.optional() }),
  flow: z.strictObject({
    protocol: z.enum(['tcp', 'udp'], { error: 'tcp or udp' }),
    source: endpoint,
    destination: endpoint,
  }),
};

export function controlRoutes(actions: ControlActions): Routes {
  return {
    '/status': get(() => actions.status()),
    '/ready': {
      GET: async (sent) => {
        const { service } = checkQuery(QUERY.service, sent);
        const readiness = actions.ready(service);
        return { status: readiness.ready ? 200 : 503, json: readiness };
      },
    },
    '/changes': get(() => actions.changes()),
    '/events': get(() => actions.events()),
    '/health': get(() => actions.health()),
    '/counters': get(() => actions.counters()),
    '/tables': {
      GET: async (sent) => {
        const { pool } = checkQuery(QUERY.pool, sent);
        return { status: 200, parts: tableParts(await actions.tables(pool)) };
      },
    },
    '/in-force': {
      GET: async (sent) => {
        checkQuery(QUERY.none, sent);
        return { status: 200, parts: inForceParts(await actions.inForce()) };
      },
    },
    '/which': {
      GET: async (sent) => {
        const flow = checkQuery(QUERY.flow, sent);
        if (flow.source.address.family !== flow.destination.address.family)
          throw refusal('the query: source and destination are not of one family');
        return { status: 200, json: await actions.which(flow) };
      },
    },
    '/plan': { ...post(BODY.none, () => actions.plan()), onlyAsks: true },
    '/reload': post(BODY.change, (options) => actions.reload(options)),
    '/drain': post(BODY.target, ({ force, backend, pool, plan }) =>
      plan
        ? actions.planFor({ backend, pool }, { state: 'draining' }, { force })
        : actions.drain({ backend, pool }, { force }),
    ),
    '/undrain': post(BODY.target, ({ force, backend, pool, plan }) =>
      plan
        ? actions.planFor({ backend, pool }, { state: 'active' }, { force })
        : actions.undrain({ backend, pool }, { force }),
    ),
    '/weight': post(BODY.weight, ({ force, backend, pool, weight, plan }) =>
      plan
        ? actions.planFor({ backend, pool }, { weight }, { force })
        : actions.weight({ backend, pool }, weight, { force }),
    ),
    '/cancel': post(BODY.id, ({ id }) => actions.cancel(id)),
    '/force': post(BODY.id, ({ id }) => actions.force(id)),
  };
}

function get(action: () => unknown): Endpoint {
  return {
    GET: async (sent) => {
      checkQuery(QUERY.none, sent);
      return { status: 200, json: await action() };
    },
  };
}

function post<T extends z.ZodObject>(schema: T, action: (body: z.output<T>) => unknown): Endpoint {
  return {
    POST: async (sent) => {
      checkQuery(QUERY.none, sent);
      return { status: 200, json: await action(check(schema, sent.body, 'the body')) };
    },
  };
}

function checkQuery<T extends z.ZodObject>(schema: T, { query }: Sent): z.output<T> {
  const given = [...new URLSearchParams(query)];
  const fields = Object.fromEntries(given);
  if (Object.keys(fields).length < given.length) throw refusal('the query names a field twice');
  return check(schema, fields, 'the query');
}

/** @throws ControlError 400, which names the first field that is wrong */
function check<T extends z.ZodObject>(schema: T, value: unknown, what: string): z.output<T> {
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data;
  const [issue] = error.issues;
  if (issue.code === 'unrecognized_keys') throw unknownField(issue.keys[0], Object.keys(schema.shape), what);
  const [field] = issue.path;
  if (field === undefined) throw refusal(`${what} is no JSON object`);
  const found = Object.hasOwn(value as object, field) ? 'is wrong' : 'is missing';
  throw refusal(`${what}: ${String(field)} ${found}; expected ${issue.message}`);
}

function unknownField(field: string, known: readonly string[], what: string): ControlError {
  const meant = nearest(field, known);
  return refusal(
    `${what}: unknown field ${quote(field)}`,
    meant !== undefined
      ? `Did you mean ${meant}?`
      : known.length === 0
        ? 'It takes none.'
        : `It takes ${known.join(', ')}.`,
  );
}

function refusal(message: string, hint?: string): ControlError {
  return new ControlError(400, 'ERR_REQUEST', message, { hint });
}
