/**
 * What the Grafana dashboard shows: rows of panels, each with what it asks Prometheus. Every question takes the variables of the
 * dashboard by `$job`, `$instance` and `$pool`, which `own` and `ofPool` put in, so that no panel forgets one.
 */

/** Grafana's names of kinds and units. */
export interface Panel {
  readonly title: string;
  /** One or two sentences, for who has not seen the panel before. */
  readonly about: string;
  readonly kind: 'stat' | 'timeseries' | 'state-timeline' | 'table';
  readonly unit?:
    | 'short'
    | 'pps'
    | 'bps'
    | 'Bps'
    | 's'
    | 'bytes'
    | 'percentunit'
    | 'reqps'
    | 'cps'
    | 'dateTimeAsIso';
  /** In columns of 24. */
  readonly width?: number;
  readonly asks: readonly Ask[];
  /** From this value on it is shown in red. */
  readonly badFrom?: number;
  /** At or below this value it is shown in red. */
  readonly badTo?: number;
  /** Why a fleet without trouble has no series here; a test expects some of every other panel. */
  readonly emptyWhen?: string;
}

export interface Ask {
  readonly expr: string;
  /** With labels in `{{}}`; the columns of a table have their own names. */
  readonly legend: string;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** The series of a metric that the viewer has chosen. @param matchers besides, as in `verdict=~"drop_.*"` */
function own(metric: string, matchers = ''): string {
  return `${metric}{job=~"$job",instance=~"$instance"${matchers && `,${matchers}`}}`;
}

function ofPool(metric: string, matchers = ''): string {
  return own(metric, `pool=~"$pool"${matchers && `,${matchers}`}`);
}

function rate(series: string): string {
  return `rate(${series}[$__rate_interval])`;
}

function sum(by: string, series: string): string {
  return `sum by (${by}) (${series})`;
}

function quantile(share: number, by: string, histogram: string): string {
  return `histogram_quantile(${share}, ${sum(`${by}, le`, rate(histogram))})`;
}

const FORWARDED = own('anyhop_packets_total', 'verdict=~"forwarded.*"');
const DROPPED = own('anyhop_packets_total', 'verdict=~"drop_.*"');

const FLEET: Row = {
  title: 'The fleet at a glance',
  panels: [
    {
      title: 'Nodes ready',
      about:
        'Forwarders that are ready for traffic, as `anyhop ready` says. A node that does not answer is not counted.',
      kind: 'stat',
      asks: [{ expr: `sum(${own('anyhop_ready')})`, legend: 'ready' }],
      badTo: 0,
    },
    {
      title: 'Nodes not ready',
      about: 'Forwarders that answer and are not ready. `anyhop ready` on the node says why.',
      kind: 'stat',
      asks: [{ expr: `count(${own('anyhop_ready')} == 0) or vector(0)`, legend: 'not ready' }],
      badFrom: 1,
    },
    {
      title: 'Forwarded',
      about: 'Packets that go to backends, of all nodes.',
      kind: 'stat',
      unit: 'pps',
      asks: [{ expr: `sum(${rate(FORWARDED)})`, legend: 'forwarded' }],
    },
    {
      title: 'Dropped',
      about: 'Packets for VIPs that end at a node. The row "Verdicts" says why.',
      kind: 'stat',
      unit: 'pps',
      asks: [{ expr: `sum(${rate(DROPPED)}) or vector(0)`, legend: 'dropped' }],
    },
    {
      title: 'Backends down',
      about: 'Backends that no node has as up. `anyhop status` says why.',
      kind: 'stat',
      asks: [
        {
          expr: `count(max by (pool, backend) (${ofPool('anyhop_backend_up')}) == 0) or vector(0)`,
          legend: 'down',
        },
      ],
      badFrom: 1,
    },
    {
      title: 'Tables that differ',
      about:
        'Pools of which nodes have different lookup tables. For a moment after a change or a failed check that is normal.',
      kind: 'stat',
      asks: [
        {
          expr: `count(count by (pool) (count by (pool, digest) (${ofPool('anyhop_pool_info')})) > 1) or vector(0)`,
          legend: 'differ',
        },
      ],
      badFrom: 1,
    },
    {
      title: 'Alerts',
      about: 'Alerts of anyhop.rules.yml that fire.',
      kind: 'stat',
      asks: [
        { expr: 'count(ALERTS{alertname=~"Anyhop.*",alertstate="firing"}) or vector(0)', legend: 'firing' },
      ],
      badFrom: 1,
    },
    {
      title: 'Drains under way',
      about: 'Draining backends that may still have connections, of the node that knows most.',
      kind: 'stat',
      asks: [
        {
          expr: `max(${sum('instance', ofPool('anyhop_pool_drains', 'state="open"'))}) or vector(0)`,
          legend: 'drains',
        },
      ],
    },
  ],
};

const NODES: Row = {
  title: 'Nodes',
  panels: [
    {
      title: 'Ready',
      about: 'When each node was ready for traffic.',
      kind: 'state-timeline',
      asks: [{ expr: own('anyhop_ready'), legend: '{{instance}}' }],
      badTo: 0,
    },
    {
      title: 'Forwarded by node',
      about: 'Packets a second. Behind ECMP, nodes have about the same.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [{ expr: sum('instance', rate(FORWARDED)), legend: '{{instance}}' }],
    },
    {
      title: 'Engines',
      about: 'The engine of each node, and how it runs.',
      kind: 'table',
      asks: [{ expr: own('anyhop_engine_info'), legend: 'engine' }],
    },
    {
      title: 'Versions and keys',
      about: 'What nodes must have in common: version of the flow hash and fingerprint of the key.',
      kind: 'table',
      asks: [{ expr: own('anyhop_node_info'), legend: 'node' }],
    },
    {
      title: 'Lost around the program',
      about:
        'Packets that were lost before the engine saw them (missed), or that the kernel or the driver refused to send.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [
        {
          expr: sum('instance', rate(own('anyhop_engine_missed_packets_total'))),
          legend: '{{instance}} missed',
        },
        {
          expr: sum('instance', rate(own('anyhop_engine_send_failed_packets_total'))),
          legend: '{{instance}} not sent',
        },
      ],
    },
    {
      title: 'New images in force after',
      about: 'From the first new table to the image that forwards, 99 of 100.',
      kind: 'timeseries',
      unit: 's',
      asks: [
        {
          expr: quantile(0.99, 'instance', own('anyhop_image_publish_seconds_bucket')),
          legend: '{{instance}}',
        },
      ],
    },
  ],
};

const SERVICES: Row = {
  title: 'Services',
  panels: [
    {
      title: 'Packets by service',
      about: 'Packets a second, of all nodes.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [{ expr: sum('service', rate(own('anyhop_service_packets_total'))), legend: '{{service}}' }],
    },
    {
      title: 'Traffic by service',
      about: 'From clients alone: answers do not pass the nodes.',
      kind: 'timeseries',
      unit: 'bps',
      asks: [
        { expr: `8 * ${sum('service', rate(own('anyhop_service_bytes_total')))}`, legend: '{{service}}' },
      ],
    },
    {
      title: 'Ready by service',
      about: '1 while what is sent to the service reaches a backend from every node.',
      kind: 'state-timeline',
      asks: [{ expr: `min by (service) (${own('anyhop_service_ready')})`, legend: '{{service}}' }],
      badTo: 0,
    },
    {
      title: 'What the services are',
      about: 'VIP, protocol, port and pool of each service.',
      kind: 'table',
      asks: [
        {
          expr: `group by (service, vip, protocol, port, pool) (${ofPool('anyhop_service_info')})`,
          legend: 'service',
        },
      ],
    },
  ],
};

const BACKENDS: Row = {
  title: 'Backends',
  panels: [
    {
      title: 'Packets by backend',
      about: 'Packets a second, of all nodes: the 20 with the most.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [
        {
          expr: `topk(20, ${sum('pool, backend', rate(ofPool('anyhop_backend_packets_total')))})`,
          legend: '{{pool}}/{{backend}}',
        },
      ],
    },
    {
      title: 'Up',
      about: 'The share of the nodes that have the backend as up. Those that all nodes have are left out.',
      kind: 'state-timeline',
      asks: [
        {
          expr: `avg by (pool, backend) (${ofPool('anyhop_backend_up')}) < 1`,
          legend: '{{pool}}/{{backend}}',
        },
      ],
      badTo: 0,
      emptyWhen: 'every backend is up everywhere',
    },
    {
      title: 'Load beside weight',
      about:
        'Share of the packets of a pool over the share of its slots; 1 is even. A pool without packets has none.',
      kind: 'timeseries',
      asks: [{ expr: loadBesideWeight(), legend: '{{pool}}/{{backend}}' }],
    },
    {
      title: 'Open connections',
      about:
        'TCP connections to VIPs on the host of the backend, as its agent reports: the 20 with the most.',
      kind: 'timeseries',
      asks: [
        {
          expr: `topk(20, max by (pool, backend) (${ofPool('anyhop_backend_open_connections')}))`,
          legend: '{{pool}}/{{backend}}',
        },
      ],
    },
    {
      title: 'Health checks take',
      about: 'Good and failed checks, 50 and 99 of 100.',
      kind: 'timeseries',
      unit: 's',
      asks: [0.5, 0.99].map((share) => ({
        expr: quantile(share, 'pool, kind', ofPool('anyhop_check_duration_seconds_bucket')),
        legend: `{{pool}} {{kind}} ${100 * share} %`,
      })),
    },
    {
      title: 'Health checks by outcome',
      about:
        'Checks a second that were not good. "not_made" is the fault of the node, for example without free descriptors.',
      kind: 'timeseries',
      unit: 'cps',
      asks: [
        {
          expr: sum('pool, kind, outcome', rate(ofPool('anyhop_checks_total', 'outcome!="good"'))),
          legend: '{{pool}} {{kind}} {{outcome}}',
        },
      ],
      emptyWhen: 'no check has failed yet',
    },
    {
      title: 'Agents that do not answer',
      about: 'Backends with an agent that some node does not reach: their drains cannot be counted.',
      kind: 'timeseries',
      asks: [
        {
          expr: `count by (pool) (min by (pool, backend) (${ofPool('anyhop_backend_agent_up')}) == 0) or 0 * count by (pool) (${ofPool('anyhop_pool_slots')})`,
          legend: '{{pool}}',
        },
      ],
      badFrom: 1,
    },
    {
      title: 'Changes',
      about: 'Planned changes that wait, and states of the last settle time that are remembered.',
      kind: 'timeseries',
      asks: [
        { expr: `max by (pool) (${ofPool('anyhop_pool_changes_waiting')})`, legend: '{{pool}} waiting' },
        { expr: `max by (pool) (${ofPool('anyhop_pool_remembered_states')})`, legend: '{{pool}} remembered' },
      ],
    },
  ],
};

const VERDICTS: Row = {
  title: 'Verdicts',
  panels: [
    {
      title: 'Dropped, by verdict',
      about:
        'The page of verdicts says what each means; `anyhop capture "verdict drop_*"` shows the packets.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [{ expr: `${sum('verdict', rate(DROPPED))} > 0`, legend: '{{verdict}}' }],
      emptyWhen: 'nothing is dropped',
    },
    {
      title: 'All others, by verdict',
      about: 'Forwarded, answered by the node, or passed to the host.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [
        {
          expr: sum('verdict', rate(own('anyhop_packets_total', 'verdict!~"drop_.*"'))),
          legend: '{{verdict}}',
        },
      ],
    },
  ],
};

const FLOODS: Row = {
  title: 'Floods',
  panels: [
    {
      title: 'Attacks',
      about: '1 while a service is under attack, by kind. `anyhop defend status` has the figures.',
      kind: 'state-timeline',
      asks: [
        {
          expr: `max by (service, kind) (${own('anyhop_defend_attack')})`,
          legend: '{{service}} {{kind}}',
        },
      ],
      badFrom: 1,
    },
    {
      title: 'Dropped or answered by rules',
      about: 'Packets a second, of all nodes. "syn_limited" drops SYNs of clients too: it has to be 0.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [
        {
          expr: `${sum('service, rule', rate(own('anyhop_defend_packets_total', 'effect="did"')))} > 0`,
          legend: '{{service}} {{rule}}',
        },
      ],
      emptyWhen: 'no rule drops or answers anything',
    },
    {
      title: 'Would be dropped or answered',
      about: 'The same of rules in mode observe: what they count passes.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [
        {
          expr: `${sum('service, rule', rate(own('anyhop_defend_packets_total', 'effect="would"')))} > 0`,
          legend: '{{service}} {{rule}}',
        },
      ],
      emptyWhen: 'no rule in mode observe would do anything',
    },
    {
      title: 'SYNs beside the threshold',
      about:
        'TCP connection attempts a second, and above how many SYN cookies are used, on the node that has most of each.',
      kind: 'timeseries',
      unit: 'cps',
      asks: [
        { expr: `max by (service) (${rate(own('anyhop_defend_syns_total'))})`, legend: '{{service}} SYNs' },
        {
          expr: `max by (service) (${own('anyhop_defend_threshold_syns_per_second')})`,
          legend: '{{service}} threshold',
        },
      ],
    },
    {
      title: 'Backends without SYN cookies',
      about: 'Backends that some node may not answer SYNs for. In a flood, SYNs to them pass under a cap.',
      kind: 'timeseries',
      asks: [
        {
          expr: `count by (pool) (min by (pool, backend) (${ofPool('anyhop_defend_backend_takes_cookies')}) == 0) or 0 * count by (pool) (${ofPool('anyhop_defend_backend_takes_cookies')})`,
          legend: '{{pool}}',
        },
      ],
      badFrom: 1,
    },
    {
      title: 'Prefixes on lists',
      about: 'Of the config and its files, on the node with most.',
      kind: 'timeseries',
      asks: [
        {
          expr: `max by (list, family) (${own('anyhop_defend_list_prefixes')})`,
          legend: '{{list}} {{family}}',
        },
      ],
    },
  ],
};

const AGENTS: Row = {
  title: 'Agents',
  panels: [
    {
      title: 'Packets by verdict',
      about:
        'GRE packets at the backends. "sent_on" is second chance: normal while connections outlive a change.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [{ expr: sum('verdict', rate(own('anyhop_agent_packets_total'))), legend: '{{verdict}}' }],
    },
    {
      title: 'Connections by service',
      about: 'TCP connections on the hosts with an agent.',
      kind: 'timeseries',
      asks: [{ expr: sum('service', own('anyhop_agent_service_connections')), legend: '{{service}}' }],
    },
    {
      title: 'Lost around the program',
      about: 'Packets that the driver had no room for, or refused to send.',
      kind: 'timeseries',
      unit: 'pps',
      asks: [
        {
          expr: sum('instance', rate(own('anyhop_agent_missed_packets_total'))),
          legend: '{{instance}} missed',
        },
        {
          expr: sum('instance', rate(own('anyhop_agent_send_failed_packets_total'))),
          legend: '{{instance}} not sent',
        },
      ],
    },
    {
      title: 'Forwarders that ask',
      about:
        'Forwarders from which each agent has heard lately. A forwarder that is missing is not in agent.forwarders, or down.',
      kind: 'timeseries',
      asks: [{ expr: `max by (instance) (${own('anyhop_agent_forwarders')})`, legend: '{{instance}}' }],
    },
  ],
};

const LAYER_7: Row = {
  title: 'Layer 7',
  panels: [
    {
      title: 'Requests by frontend',
      about: 'Of all proxy hosts.',
      kind: 'timeseries',
      unit: 'reqps',
      asks: [
        { expr: sum('frontend', rate(own('anyhop_l7_frontend_requests_total'))), legend: '{{frontend}}' },
      ],
    },
    {
      title: 'Answers by class',
      about: 'By the class of their status.',
      kind: 'timeseries',
      unit: 'reqps',
      asks: [{ expr: sum('code', rate(own('anyhop_l7_frontend_responses_total'))), legend: '{{code}}' }],
    },
    {
      title: 'Servers that get requests',
      about: 'Servers of each upstream that get requests of new clients, on the proxy host with the fewest.',
      kind: 'timeseries',
      asks: [
        { expr: `min by (upstream) (${own('anyhop_l7_upstream_usable_servers')})`, legend: '{{upstream}}' },
      ],
      badTo: 0,
    },
    {
      title: 'Waiting and repeated',
      about: 'Requests that wait for a server, and requests that were sent again, a second.',
      kind: 'timeseries',
      asks: [
        { expr: sum('upstream', own('anyhop_l7_upstream_queued_requests')), legend: '{{upstream}} waiting' },
        {
          expr: sum('upstream', rate(own('anyhop_l7_server_retries_total'))),
          legend: '{{upstream}} sent again',
        },
      ],
    },
    {
      title: 'Proxy hosts',
      about: '1 while the health check of the forwarders is answered with yes.',
      kind: 'state-timeline',
      asks: [{ expr: own('anyhop_l7_healthy'), legend: '{{instance}}' }],
      badTo: 0,
    },
    {
      title: 'Certificates end',
      about: 'When the certificate of each frontend expires.',
      kind: 'table',
      unit: 'dateTimeAsIso',
      asks: [
        {
          expr: `1000 * min by (frontend, file) (${own('anyhop_l7_certificate_expiry_timestamp_seconds')})`,
          legend: 'ends',
        },
      ],
      emptyWhen: 'no frontend speaks TLS',
    },
  ],
};

const ANNOUNCE: Row = {
  title: 'Announcing',
  panels: [
    {
      title: 'Nodes that announce',
      about: 'How many nodes announce each VIP.',
      kind: 'timeseries',
      asks: [{ expr: sum('vip', own('anyhop_announce_vip_state', 'state="announced"')), legend: '{{vip}}' }],
      badTo: 0,
    },
    {
      title: 'Orphaned or held',
      about:
        '1 while the kernel forwards without a process, or while nothing is announced since somebody said so.',
      kind: 'state-timeline',
      asks: [
        { expr: own('anyhop_announce_orphaned'), legend: '{{instance}} orphaned' },
        { expr: own('anyhop_announce_held'), legend: '{{instance}} held' },
      ],
      badFrom: 1,
    },
  ],
};

const PROCESSES: Row = {
  title: 'The processes themselves',
  panels: [
    {
      title: 'Processor',
      about: 'Cores in use, of all threads.',
      kind: 'timeseries',
      asks: [
        {
          expr: `rate(process_cpu_seconds_total{job=~"$job",instance=~"$instance"}[$__rate_interval]) and on (job, instance) ${own('anyhop_build_info')}`,
          legend: '{{instance}}',
        },
      ],
    },
    {
      title: 'Memory',
      about: 'Memory that is in RAM.',
      kind: 'timeseries',
      unit: 'bytes',
      asks: [
        {
          expr: `process_resident_memory_bytes{job=~"$job",instance=~"$instance"} and on (job, instance) ${own('anyhop_build_info')}`,
          legend: '{{instance}}',
        },
      ],
    },
    {
      title: 'Main thread',
      about: 'Share of the time in which the main thread had work to do. Above 0.8 it is overloaded.',
      kind: 'timeseries',
      unit: 'percentunit',
      asks: [{ expr: rate(own('anyhop_event_loop_active_seconds_total')), legend: '{{instance}}' }],
      badFrom: 0.8,
    },
    {
      title: 'Config',
      about: '0 when a config was refused, and the former one is in force.',
      kind: 'state-timeline',
      asks: [{ expr: own('anyhop_config_last_reload_successful'), legend: '{{instance}}' }],
      badTo: 0,
    },
    {
      title: 'Versions',
      about: 'Version of each process.',
      kind: 'table',
      asks: [{ expr: own('anyhop_build_info'), legend: 'version' }],
    },
  ],
};

export const ROWS: readonly Row[] = [
  FLEET,
  NODES,
  SERVICES,
  BACKENDS,
  VERDICTS,
  FLOODS,
  AGENTS,
  LAYER_7,
  ANNOUNCE,
  PROCESSES,
];

function loadBesideWeight(): string {
  const packets = rate(ofPool('anyhop_backend_packets_total'));
  const slots = ofPool('anyhop_backend_slots');
  const share = (by: string, value: string): string => sum(by, value);
  return (
    `(${share('pool, backend', packets)} / on (pool) group_left () (${share('pool', packets)} > 0))` +
    ` / (${share('pool, backend', slots)} / on (pool) group_left () ${share('pool', slots)} > 0)`
  );
}
