/** What can be asked of `anyhop announce`, and told to it, over its control socket. Errors are those of the node's control API. */
import * as z from 'zod';
import { ControlError } from '../api/api.js';
import type { Route } from '../api/route.js';
import type { AnnounceStatus } from './status.js';

export interface AnnounceActions {
  status(): AnnounceStatus;
  withdraw(until: Until): Promise<AnnounceStatus>;
  resume(): Promise<AnnounceStatus>;
}

/** `resume`: until an operator says so; `ready`: until the node serves and is ready. */
export type Until = 'resume' | 'ready';

const NONE = z.strictObject({});
const WITHDRAW = z.strictObject({
  until: z.enum(['resume', 'ready'], { error: 'resume or ready' }).describe('What ends it.'),
});

/** @param actions once there are any: until then they throw ControlError 503 */
export function announceRoutes(actions: () => AnnounceActions): Route[] {
  return [
    {
      method: 'GET',
      path: '/announce/status',
      answers: 'AnnounceStatus',
      does: 'What is announced, per VIP, since when and why.',
      fields: NONE,
      answer: () => actions().status(),
    },
    {
      method: 'POST',
      path: '/announce/withdraw',
      answers: 'AnnounceStatus',
      does: 'Takes all rows away; status 409 for until=ready while the node is heard.',
      fields: WITHDRAW,
      answer: ({ until }: z.output<typeof WITHDRAW>) => actions().withdraw(until),
    },
    {
      method: 'POST',
      path: '/announce/resume',
      answers: 'AnnounceStatus',
      does: 'Ends what `anyhop announce --withdraw` began.',
      fields: NONE,
      answer: () => actions().resume(),
    },
  ];
}

/** Why `anyhop stop` is refused. */
export function nodeRuns(node: string): ControlError {
  return new ControlError(409, 'ERR_NODE_RUNS', `the node ${node} runs`, { hint: 'End it first.' });
}
