/**
 * What a route does, as the text that stands in map files and in HAProxy's variable `txn.action`:
 *
 *   b:shop                            upstream `shop`
 *   rp308:https://shop.example.com    redirect with status 308; path and query of the request are appended
 *   rl302:https://example.com/new     redirect with status 302 to exactly this URL
 *   c:7                               conditions decide: node 7 (conditions.ts)
 *
 * Without an action, the answer is 404.
 */
import type { L7Redirect, L7Route } from '../../config/l7/types.js';

/** Text of an action, for example `b:shop`. */
export type Action = string;

export const UPSTREAM_PREFIX = 'b:';
export const NODE_PREFIX = 'c:';

export function actionOf({ to, redirect }: L7Route): Action {
  return redirect === undefined ? `${UPSTREAM_PREFIX}${to}` : `${redirectPrefix(redirect)}${redirect.url}`;
}

export function redirectPrefix({ isPrefix, status }: Pick<L7Redirect, 'isPrefix' | 'status'>): string {
  return `r${isPrefix ? 'p' : 'l'}${status}:`;
}

export function nodeAction(node: number): Action {
  return `${NODE_PREFIX}${node}`;
}

/** The number of the node that decides; undefined for an action that ends. */
export function nodeOf(action: Action): number | undefined {
  return action.startsWith(NODE_PREFIX) ? Number(action.slice(NODE_PREFIX.length)) : undefined;
}
