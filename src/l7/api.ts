/**
 * What can be asked of `anyhop l7 run`, and told to it, over its control socket: the contract between the routes and the tier. Errors are
 * those of the node's control API (src/api/api.ts). All paths begin with /l7, so that who asks the socket of a node by mistake, or a
 * command of a node asks this one, hears that there is no such path.
 */
import * as z from 'zod';
import { ControlError } from '../api/api.js';
import type { Route } from '../api/route.js';
import { ConfigError } from '../config/error.js';
import { integer, text } from '../config/fields.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../config/name-fields.js';
import { AnyhopError } from '../core/errors.js';
import { L7_WEIGHT_MAX } from '../core/limits.js';
import type { L7Status } from './status.js';

/** How a change came into force: HAProxy took it over its runtime API, loaded a new config, or starts with it when it starts. */
export type Applied = 'nothing to change' | 'without a reload' | 'by a reload' | 'at the next start';

export interface L7Change {
  readonly applied: Applied;
  /** Of the config and of HAProxy, each with its place. */
  readonly warnings: readonly string[];
}

/** A server of an upstream. */
export interface ServerTarget {
  readonly upstream: string;
  readonly server: string;
}

export interface L7Actions {
  status(): Promise<L7Status>;
  /** @throws ControlError 422 for a config that is wrong or that HAProxy refuses; what was in force still is */
  reload(): Promise<L7Change>;
  /** Of this host. */
  drain(): Promise<L7Status>;
  undrain(): Promise<L7Status>;
  /** @throws ControlError 404 for a server that no upstream has */
  setServer(
    target: ServerTarget,
    patch: { state?: 'active' | 'draining'; weight?: number },
  ): Promise<L7Change>;
}

const name = text(NAME_EXPECTED, NAME_PATTERN);
const NONE = z.strictObject({});
const SERVER = {
  upstream: name.describe('Name of the upstream.'),
  server: name.describe('Name of the server in it.'),
};
const STATE = z.strictObject({
  ...SERVER,
  state: z.enum(['active', 'draining'], { error: 'active or draining' }).describe('The new state.'),
});
const WEIGHT = z.strictObject({
  ...SERVER,
  weight: integer(`a whole number, 0 to ${L7_WEIGHT_MAX}`, 0, L7_WEIGHT_MAX).describe('The new weight.'),
});

/** @param actions those of the tier, once it runs: until then they throw ControlError 503 */
export function l7Routes(actions: () => L7Actions): Route[] {
  return routes(actions).map((route) => ({
    ...route,
    answer: async (fields, response) => {
      try {
        return await route.answer(fields, response);
      } catch (error) {
        throw refusal(error);
      }
    },
  }));
}

/** HAProxy does not answer, or a file cannot be written: no fault of this program. */
function refusal(error: unknown): unknown {
  if (!(error instanceof AnyhopError) || error instanceof ConfigError) return error;
  return new ControlError(503, error.code, error.message, { hint: error.hint });
}

function routes(actions: () => L7Actions): Route[] {
  return [
    {
      method: 'GET',
      path: '/l7/status',
      answers: 'L7Status',
      does: 'What the proxy host does: HAProxy, frontends, upstreams, servers.',
      fields: NONE,
      answer: () => actions().status(),
    },
    {
      method: 'POST',
      path: '/l7/reload',
      answers: 'L7Change',
      does: 'Reads the config file again and puts it in force.',
      fields: NONE,
      answer: () => actions().reload(),
    },
    {
      method: 'POST',
      path: '/l7/drain',
      answers: 'L7Status',
      does: 'Drains this proxy host.',
      fields: NONE,
      answer: () => actions().drain(),
    },
    {
      method: 'POST',
      path: '/l7/undrain',
      answers: 'L7Status',
      does: 'Lets this proxy host take connections again.',
      fields: NONE,
      answer: () => actions().undrain(),
    },
    {
      method: 'POST',
      path: '/l7/server-state',
      answers: 'L7Change',
      does: 'Drains a server of an upstream, or lets it take requests again.',
      fields: STATE,
      answer: ({ upstream, server, state }: z.output<typeof STATE>) =>
        actions().setServer({ upstream, server }, { state }),
    },
    {
      method: 'POST',
      path: '/l7/server-weight',
      answers: 'L7Change',
      does: 'Changes the weight of a server of an upstream.',
      fields: WEIGHT,
      answer: ({ upstream, server, weight }: z.output<typeof WEIGHT>) =>
        actions().setServer({ upstream, server }, { weight }),
    },
  ];
}
