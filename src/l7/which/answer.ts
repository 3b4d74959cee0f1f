/**
 * What a frontend does with a request, in the order of its rules: the challenge of a certificate authority, the redirect to
 * https, then its routes, by the tables that HAProxy looks them up in (routes/explain.ts). Client rates and the state of
 * servers are not known here.
 */
import { isDistrusted } from '../../config/l7/header-names.js';
import type { L7Config } from '../../config/l7/types.js';
import { CHALLENGE_PATH, PLAUSIBLE_HOST, PLAUSIBLE_HOST_CHARS_MAX, redirectPort } from '../before-routes.js';
import { compileRoutes } from '../routes/compile.js';
import { explainRoute, type RouteExplanation } from '../routes/explain.js';
import { requestHost } from '../routes/matching.js';
import type { Listener } from './listeners.js';
import type { AskedRequest } from './request.js';

export type Answer =
  /** The answer to a challenge; `body` is TOKEN.THUMBPRINT. */
  | { readonly from: 'acme'; readonly status: 200; readonly body: string }
  /** Plain HTTP on a service of `redirect_from`. */
  | { readonly from: 'redirect_from'; readonly status: 308; readonly location: string }
  /** There is no host to send the client to. */
  | { readonly from: 'redirect_from'; readonly status: 400 }
  | RouteAnswer;

/** A route, or that there is none: 404. */
export type RouteAnswer = { readonly from: 'routes'; readonly routing: RouteExplanation } & (
  | { readonly upstream: string }
  | { readonly status: number; readonly location: string }
  | { readonly status: 404 }
);

/** @throws RouteLimitError when the routes multiply too much */
export function answerTo({ frontend, speaks }: Listener, config: L7Config, { sent }: AskedRequest): Answer {
  const challenge = challengeBody(config, sent.path);
  if (challenge !== undefined) return { from: 'acme', status: 200, body: challenge };
  if (speaks === 'redirect') return redirected(frontend, sent);
  const headers = sent.headers.filter(({ name }) => !isDistrusted(name));
  const routing = explainRoute(compileRoutes(frontend.routes), { ...sent, headers });
  const { to, redirect } = frontend.routes[routing.route ?? -1] ?? {};
  if (redirect !== undefined) {
    const location = redirect.isPrefix ? `${redirect.url}${sent.path}` : redirect.url;
    return { from: 'routes', routing, status: redirect.status, location };
  }
  return to === undefined
    ? { from: 'routes', routing, status: 404 }
    : { from: 'routes', routing, upstream: to };
}

function challengeBody({ acmeThumbprint }: L7Config, path: string): string | undefined {
  const [bare = ''] = path.split('?', 1);
  if (acmeThumbprint === undefined || !CHALLENGE_PATH.test(bare)) return undefined;
  return `${bare.split('/')[3]}.${acmeThumbprint}`;
}

function redirected({ binds }: Listener['frontend'], { host: header, path }: AskedRequest['sent']): Answer {
  const host = requestHost(header);
  if (host.length > PLAUSIBLE_HOST_CHARS_MAX || !PLAUSIBLE_HOST.test(host))
    return { from: 'redirect_from', status: 400 };
  const port = redirectPort(binds);
  const location = `https://${host}${port === undefined ? '' : `:${port}`}${path}`;
  return { from: 'redirect_from', status: 308, location };
}
