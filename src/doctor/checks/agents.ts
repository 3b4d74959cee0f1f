/** Whether the agents take GRE from this forwarder, and know the services that it sends them. */
import type { AgentReport } from '../../agent/report.js';
import { AnyhopError } from '../../core/errors.js';
import { printable } from '../../core/printable.js';
import type { AskedAgent } from '../agents.js';
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';

export const agents: Check = {
  name: 'agents',
  where: ['forwarder'],
  looks:
    'The agent of each backend answers, lists this forwarder, and has the VIPs and services that are sent to it.',
  async run(facts) {
    const asked = await facts.agents();
    return asked.flatMap((each): Finding[] =>
      each.answer instanceof AnyhopError
        ? [silent(each, each.answer, facts)]
        : strange(facts, each, each.answer.report),
    );
  },
};

function silent({ target, from }: AskedAgent, error: AnyhopError, { place }: Facts): Finding {
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  const { pool, name } = target;
  if (code === 'ECONNRESET') {
    const source = from ?? 'the address that this host asks from';
    return {
      level: 'error',
      saw: `${error.message}, asked from ${source}, for ${pool}/${name}`,
      breaks: `An agent hangs up on who is not in agent.forwarders of its file. It then drops what this forwarder sends, as drop_stranger.`,
      mend: `in the file of ${name}: agent: {forwarders: [..., ${from ?? 'SOURCE'}]}; then: systemctl reload anyhop-agent`,
    };
  }
  return {
    level: 'warning',
    saw: `${error.message}, for ${pool}/${name}`,
    breaks:
      code === 'ECONNREFUSED'
        ? 'No agent runs there. If its program is in the kernel it delivers on; if not, nothing unwraps what this forwarder sends.'
        : 'The backend cannot be reached, or a firewall keeps the question from its agent.',
    mend:
      code === 'ECONNREFUSED'
        ? `on ${name}: anyhop doctor; anyhop agent -c ${place.config.file} --interface IFACE`
        : `on ${name}: anyhop doctor; let TCP port ${place.config.agent?.reportPort ?? 9611} in from the forwarders`,
  };
}

/** What is sent to a backend, and its agent does not know. */
function strange(
  { place: { config, targets } }: Facts,
  { target }: AskedAgent,
  { vips }: AgentReport,
): Finding[] {
  const pools = new Set(
    targets.filter(({ address }) => address.text === target.address.text).map(({ pool }) => pool),
  );
  const sent = config.services.filter(({ protocol, pool }) => protocol === 'tcp' && pools.has(pool));
  const missing = sent.filter(({ vip, name }) => {
    const known = vips.find((each) => each.vip === vip.text);
    return known === undefined || !Object.hasOwn(known.services, name);
  });
  if (missing.length === 0) return [];
  const names = printable(missing.map(({ name }) => name).join(', '));
  return [
    {
      level: 'error',
      saw: `the agent of ${target.pool}/${target.name} does not have the services ${names} (GET /report of ${target.address.text})`,
      breaks: 'It drops packets for services that are not in its file, as drop_no_service.',
      mend: `put ${config.file} on ${target.name}; then there: systemctl reload anyhop-agent`,
    },
  ];
}
