/** What an agent measures, as tables. */
import { AnyhopError } from '../core/errors.js';
import { AGENT_COOKIES, AGENT_VERDICTS } from '../core/layout.gen.js';
import type { Reloads } from '../metrics/reloads.js';
import { info, type MetricTable, single } from '../metrics/table.js';
import type { Agent } from './agent.js';
import { isMarked } from './draining-mark.js';

const LEVELS = ['warning', 'error'] as const;
const cookieRows = AGENT_COOKIES.map(({ name }) => [name]);
const verdictRows = AGENT_VERDICTS.map(({ name }) => [name]);

/** @throws AnyhopError ERR_BPF when the kernel does not tell counters or connections */
export function agentTables(agent: Agent, reloads: Reloads): readonly MetricTable[] {
  const { environment, attachment } = agent;
  const verdicts = agent.verdicts();
  const { sendFailed, missed } = agent.losses();
  const connections = agent.connections();
  const addresses = environment.locals;
  return [
    reloads.table(),
    info('anyhop_agent_info', [[environment.interface, attachment.mode]]),
    single({
      anyhop_agent_attached: agent.isAttached(),
      anyhop_agent_send_failed_packets_total: sendFailed,
      anyhop_agent_missed_packets_total: missed,
    }),
    {
      rows: LEVELS.map((level) => [level]),
      columns: {
        anyhop_agent_findings: LEVELS.map(
          (level) => environment.findings.filter((finding) => finding.level === level).length,
        ),
      },
    },
    {
      rows: verdictRows,
      columns: { anyhop_agent_packets_total: verdictRows.map(([name]) => verdicts[name] ?? 0) },
    },
    ...cookieTables(agent),
    {
      rows: [...connections.keys()].map((service) => [service]),
      columns: { anyhop_agent_service_connections: [...connections.values()] },
    },
    {
      rows: addresses.map(({ text }) => [text]),
      columns: {
        anyhop_agent_drain_asked: addresses.map((address) => asksForDrain(agent, address)),
        anyhop_agent_forwarders: addresses.map(({ text }) => agent.forwarders(text)),
      },
    },
  ];
}

function cookieTables(agent: Agent): MetricTable[] {
  const counts = agent.cookieCounts();
  return [
    single({ anyhop_agent_takes_cookies: agent.cookies().ok }),
    ...(counts === undefined
      ? []
      : [
          {
            rows: cookieRows,
            columns: { anyhop_agent_cookies_total: cookieRows.map(([name]) => counts[name]) },
          },
        ]),
  ];
}

/** NaN where nobody can tell; the log has the reason. */
function asksForDrain({ runDirectory }: Agent, address: Parameters<typeof isMarked>[1]): number {
  try {
    return Number(isMarked(runDirectory, address));
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    return Number.NaN;
  }
}
