/** Asks the agents of backends for their reports, from the address that this forwarder sends GRE from: they answer nobody else. */
import { type AgentAnswer, askAgent } from '../agent/report.js';
import { AnyhopError } from '../core/errors.js';
import { AGENT_REPORT_PORT_DEFAULT } from '../core/limits.js';
import type { Facts, Target } from './facts.js';
import { sourcesOf } from './sources.js';

const ANSWER_MS = 1_500;
/** Of distinct addresses; --backend asks any. */
const ASKED_MAX = 1_024;

export interface AskedAgent {
  readonly target: Target;
  /** The source that it was asked from; undefined when the kernel chose. */
  readonly from: string | undefined;
  readonly answer: AgentAnswer | AnyhopError;
  /** This host's clock when the answer came. */
  readonly atMs: number;
}

export async function askAgents(facts: Facts): Promise<AskedAgent[]> {
  const { place, host } = facts;
  const unreached = await facts.unreached();
  const distinct = new Map(
    place.targets
      .filter(({ agent, address }) => agent && !unreached.has(address.text))
      .map((each) => [each.address.text, each]),
  );
  const { source4, source6 } = sourcesOf(facts);
  const own = new Set(host.addresses().map(({ text }) => text));
  const port = place.config.agent?.reportPort ?? AGENT_REPORT_PORT_DEFAULT;
  return Promise.all(
    [...distinct.values()].slice(0, ASKED_MAX).map(async (target): Promise<AskedAgent> => {
      const source = (target.address.family === 4 ? source4 : source6)?.text;
      const from = source !== undefined && own.has(source) ? source : undefined;
      const asked = askAgent(target.address.text, port, ANSWER_MS, { ...(from !== undefined && { from }) });
      const answer = await asked.catch((error: unknown) => {
        if (error instanceof AnyhopError) return error;
        throw error;
      });
      return { target, from, answer, atMs: Date.now() };
    }),
  );
}
