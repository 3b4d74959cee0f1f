/** Metrics of an agent: its program, its host, the forwarders that ask it. */
import { counter, gauge } from '../family.js';

export const AGENT_FAMILIES = {
  anyhop_agent_info: gauge(
    'Interface of the agent, and how its program is attached; always 1',
    'interface',
    'mode',
  ),
  anyhop_agent_attached: gauge("Whether the agent's program is on the interface"),
  anyhop_agent_findings: gauge('What is wrong with the host, by how bad it is; the log says what', 'level'),
  anyhop_agent_packets_total: counter(
    'GRE packets by their verdict, since a program was first put on the interface',
    'verdict',
  ),
  anyhop_agent_takes_cookies: gauge('Whether this host takes SYN cookies of the fleet; the log says why not'),
  anyhop_agent_cookies_total: counter(
    'Packets with SYN cookies of the fleet by what became of them, since the program at tc ingress was first there',
    'outcome',
  ),
  anyhop_agent_send_failed_packets_total: counter(
    'Packets for other backends that the driver refused to send',
  ),
  anyhop_agent_missed_packets_total: counter('Packets that the driver had no room for'),
  anyhop_agent_service_connections: gauge('TCP connections to the service on this host', 'service'),
  anyhop_agent_drain_asked: gauge('Whether this host asks forwarders to drain the address', 'address'),
  anyhop_agent_forwarders: gauge(
    'Forwarders that have asked lately for the report of the address',
    'address',
  ),
};
