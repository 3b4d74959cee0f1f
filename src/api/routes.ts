/**
 * The control API over HTTP: which method of which path is which action of the node (api.ts), and the one place where what
 * a client sent is checked. An action gets checked values alone.
 */
import * as z from 'zod';
import { integer, text } from '../config/fields.js';
import { address, NAME_EXPECTED, NAME_PATTERN } from '../config/name-fields.js';
import { nearest } from '../config/nearest.js';
import { quote } from '../config/path.js';
import { BACKEND_ID_MAX, WEIGHT_MAX } from '../core/limits.js';
import { type Endpoint as PacketEndpoint, parseEndpoint } from '../packet/compose.js';
import { type ControlActions, ControlError, type Flow } from './api.js';
import { CAPTURE_FIELDS } from './capture.js';
import { defendRoutes } from './defend-routes.js';
import { Followed } from './followers.js';
import { inForceParts } from './in-force.js';
import { inParts } from './responder.js';
import { get, post, type Route } from './route.js';
import { tableParts } from './table-parts.js';

const ENDPOINT_EXPECTED = 'ADDRESS:PORT, and [ADDRESS]:PORT for IPv6';
const TIME_EXPECTED = 'a time in ISO 8601, such as 2024-05-01T12:00:00Z';
const TIME_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;
const NUMBER_EXPECTED = 'a whole number, 0 or more';
const name = text(NAME_EXPECTED, NAME_PATTERN);
const force = z
  .boolean({ error: 'true or false' })
  .default(false)
  .describe('Do not wait, and change what breaks connections for good.');
const endpoint = z.string({ error: ENDPOINT_EXPECTED }).transform((text, context): PacketEndpoint => {
  const parsed = parseEndpoint(text);
  if (parsed === undefined) context.addIssue(ENDPOINT_EXPECTED);
  return parsed!;
});
const target = {
  backend: name.describe('Name of the backend.'),
  pool: name.optional().describe('Its pool; every pool that has it when left out.'),
  force,
  plan: z.boolean({ error: 'true or false' }).default(false).describe('Only say what the change would do.'),
};
const flow = {
  protocol: z.enum(['tcp', 'udp'], { error: 'tcp or udp' }).describe('Of the packet.'),
  source: endpoint.describe('The client.'),
  destination: endpoint.describe('The VIP and port.'),
};
/** `web:3` */
const ID_PATTERN = new RegExp(`${NAME_PATTERN.source.slice(0, -1)}:[1-9][0-9]{0,15}$`);
const BODY = {
  none: z.strictObject({}),
  change: z.strictObject({ force }),
  capture: z.strictObject(CAPTURE_FIELDS),
  target: z.strictObject(target),
  id: z.strictObject({
    id: text('the id of a change that waits, such as "web:3"', ID_PATTERN).describe('Which change.'),
  }),
  weight: z.strictObject({
    ...target,
    weight: integer(`a whole number, 0 to ${WEIGHT_MAX}`, 0, WEIGHT_MAX).describe('The new weight.'),
  }),
  added: z.strictObject({
    ...target,
    pool: name.describe('The pool that gets it.'),
    address: address.describe('Its address in the underlay.'),
    weight: integer(`a whole number, 0 to ${WEIGHT_MAX}`, 0, WEIGHT_MAX)
      .optional()
      .describe('Share of the flows; 1 when left out.'),
    id: integer(`a whole number, 1 to ${BACKEND_ID_MAX}`, 1, BACKEND_ID_MAX)
      .optional()
      .describe('Its id in GRE keys; the low 15 bits of its address when left out.'),
    agent: z.boolean({ error: 'true or false' }).default(true).describe('Whether its host runs an agent.'),
  }),
};
const QUERY = {
  none: z.strictObject({}),
  pool: z.strictObject({ pool: name.optional().describe('This pool; all when left out.') }),
  service: z.strictObject({ service: name.optional().describe('This service; the node when left out.') }),
  events: z.strictObject({
    since: z
      .string({ error: TIME_EXPECTED })
      .transform((text, context): number => {
        const ms = TIME_PATTERN.test(text) ? Date.parse(text) : Number.NaN;
        if (Number.isNaN(ms)) context.addIssue(TIME_EXPECTED);
        return ms;
      })
      .optional()
      .describe('Events from this time on; a day is kept. The last hour when left out.'),
    after: z
      .string({ error: NUMBER_EXPECTED })
      .regex(/^\d{1,15}$/, { error: NUMBER_EXPECTED })
      .transform(Number)
      .optional()
      .describe(
        'Only events that came after this one: `newest` of an answer of the same process (`pid`, `started`).',
      ),
  }),
  flow: z.strictObject(flow),
  trace: z.strictObject({
    ...flow,
    backend: name
      .optional()
      .describe('The source port is the next one whose packet goes to this backend, if one of 4096 does.'),
  }),
};

export function controlRoutes(actions: ControlActions): Route[] {
  return [
    get(
      '/status',
      'NodeStatus',
      'What the node does: engine, pools, backends, counters, rates.',
      QUERY.none,
      () => actions.status(),
    ),
    get(
      '/ready',
      'Readiness',
      'Whether the node, or one service, is ready for traffic; status 503 when not.',
      QUERY.service,
      ({ service }, response) => {
        const readiness = actions.ready(service);
        if (!readiness.ready) response.statusCode = 503;
        return readiness;
      },
    ),
    get(
      '/revision',
      'RevisionReport',
      'The revision of its fleet that the node has in force, as the operator signed it.',
      QUERY.none,
      () => actions.revision(),
    ),
    get(
      '/follow',
      'FollowLine or FollowSame, one in each line',
      'What those who announce the node must know: at once, after each change, and once a second.',
      QUERY.none,
      () => new Followed(actions.follow()),
    ),
    get('/health', 'HealthReport', 'The health mark of each backend, since when, and why.', QUERY.none, () =>
      actions.health(),
    ),
    get(
      '/events',
      'EventsReport',
      'What the node logged, in the last hour or since a time, also before a restart.',
      QUERY.events,
      ({ since, after }) => actions.events({ sinceMs: since, after }),
    ),
    get('/counters', 'CounterReport', 'Packets and bytes by verdict, service and backend.', QUERY.none, () =>
      actions.counters(),
    ),
    get(
      '/tables',
      'TablesReport',
      'Owner and alternates of every slot, of one pool or of all.',
      QUERY.pool,
      async ({ pool }) => inParts(tableParts(await actions.tables(pool))),
    ),
    get(
      '/in-force',
      'InForceReport',
      'Everything that decisions are made by, except the secret.',
      QUERY.none,
      async () => inParts(inForceParts(await actions.inForce())),
    ),
    get('/which', 'WhichReport', 'Where a packet of a flow goes now, and why.', QUERY.flow, (flow) =>
      actions.which(ofOneFamily(flow)),
    ),
    get(
      '/trace',
      'TraceReport',
      'The same with the frame that the engine makes of the packet, and the backends of the pool.',
      QUERY.trace,
      ({ backend, ...flow }) => actions.trace({ ...ofOneFamily(flow), backend }),
    ),
    get('/capture', 'CaptureReport', 'What packets can be captured by, and where.', QUERY.none, () =>
      actions.capture(),
    ),
    {
      ...post(
        '/capture',
        'frames as src/api/capture.ts describes them',
        'Records packets for as long as the client reads; one client at a time.',
        BODY.capture,
        (filter) => actions.record(filter),
      ),
      onlyAsks: true,
    },
    get('/changes', 'QueuedReport', 'The changes that wait.', QUERY.none, () => actions.changes()),
    {
      ...post('/plan', 'PlanReport', 'What a reload would do.', BODY.none, () => actions.plan()),
      onlyAsks: true,
    },
    post(
      '/reload',
      'ChangeReport',
      'Reads the config file again and puts it in force.',
      BODY.change,
      (options) => actions.reload(options),
    ),
    post(
      '/drain',
      'ChangeReport; PlanReport with plan',
      'Lets a backend take no new flows.',
      BODY.target,
      ({ force, backend, pool, plan }) =>
        plan
          ? actions.planFor({ backend, pool }, { state: 'draining' }, { force })
          : actions.drain({ backend, pool }, { force }),
    ),
    post(
      '/undrain',
      'ChangeReport; PlanReport with plan',
      'Lets a backend take new flows again.',
      BODY.target,
      ({ force, backend, pool, plan }) =>
        plan
          ? actions.planFor({ backend, pool }, { state: 'active' }, { force })
          : actions.undrain({ backend, pool }, { force }),
    ),
    post(
      '/weight',
      'ChangeReport; PlanReport with plan',
      'Changes the weight of a backend.',
      BODY.weight,
      ({ force, backend, pool, weight, plan }) =>
        plan
          ? actions.planFor({ backend, pool }, { weight }, { force })
          : actions.weight({ backend, pool }, weight, { force }),
    ),
    post(
      '/backend/add',
      'ChangeReport; PlanReport with plan',
      'Adds a backend to a pool, over the config file.',
      BODY.added,
      ({ backend, pool, address: { text }, weight, id, agent, force, plan }) => {
        const entry = {
          name: backend,
          address: text,
          ...(weight !== undefined && { weight }),
          ...(id !== undefined && { id }),
          ...(!agent && { agent: false as const }),
        };
        const edit = { kind: 'add', pool, entry } as const;
        return plan ? actions.planEdit(edit, { force }) : actions.edit(edit, { force });
      },
    ),
    post(
      '/backend/remove',
      'ChangeReport; PlanReport with plan',
      'Drains a backend, and removes it once it is drained, over the config file.',
      BODY.target,
      ({ backend, pool, force, plan }) => {
        const edit = { kind: 'remove', backend, pool } as const;
        return plan ? actions.planEdit(edit, { force }) : actions.edit(edit, { force });
      },
    ),
    post('/cancel', 'ChangeReport', 'Takes back one change that waits.', BODY.id, ({ id }) =>
      actions.cancel(id),
    ),
    post('/force', 'ChangeReport', 'Puts one change that waits in force now.', BODY.id, ({ id }) =>
      actions.force(id),
    ),
    ...defendRoutes(actions),
  ];
}

/** @throws ControlError 400 */
function ofOneFamily<T extends Flow>(flow: T): T {
  if (flow.source.address.family === flow.destination.address.family) return flow;
  throw refusal('the query: source and destination are not of one family');
}

/** What an action gets. @throws ControlError 400 */
export function checkRequest({ method, fields }: Route, query: string, body: unknown): never {
  const given = [...new URLSearchParams(query)];
  const asked = Object.fromEntries(given);
  if (Object.keys(asked).length < given.length) throw refusal('the query names a field twice');
  const checked = check(method === 'GET' ? fields : QUERY.none, asked, 'the query');
  return (method === 'GET' ? checked : check(fields, body, 'the body')) as never;
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
