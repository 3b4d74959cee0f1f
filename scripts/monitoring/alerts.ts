/**
 * Alert rules for Prometheus, each with a case in which it fires and one in which it must not: promtool runs both. `what` and `todo` are
 * for the person whom the alert wakes.
 */

export interface Alert {
  readonly name: string;
  readonly severity: 'critical' | 'warning';
  readonly expr: string;
  /** How long it must be so; Prometheus' own form. */
  readonly for: string;
  /** One sentence, with labels in `{{ $labels.x }}`. */
  readonly what: string;
  /** What it means for traffic, and what to look at first. */
  readonly todo: string;
  /** Series in promtool's form, a value a minute. */
  readonly fires: Case & {
    /** Of the alert, besides severity. */
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly silent: Case;
}

interface Case {
  readonly series: Readonly<Record<string, string>>;
  /** When it is looked at; Prometheus' own form. */
  readonly at: string;
}

const NODE = 'job="anyhop",instance="edge-1"';
const OTHER = 'job="anyhop",instance="edge-2"';
const EDGE_1 = { job: 'anyhop', instance: 'edge-1' } as const;

/** Wanted: alerts of their own tell of attacks. */
const DEFENCE_DROPS = 'drop_blocked|drop_source_rate|drop_service_rate|drop_syn_limited';

/** A gauge of one node that is bad when it is not 0 (or 1). */
function flag(metric: string, bad: 0 | 1, minutes = 30): Pick<Alert, 'fires' | 'silent'> {
  const series = (value: 0 | 1) => ({ [`${metric}{${NODE}}`]: `${value}x${minutes}` });
  const at = `${minutes}m`;
  return {
    fires: { series: series(bad), at, labels: EDGE_1 },
    silent: { series: series(bad === 0 ? 1 : 0), at },
  };
}

const FORWARDING: readonly Alert[] = [
  {
    name: 'AnyhopProcessDown',
    severity: 'critical',
    expr: 'up == 0 and on (job, instance) group by (job, instance) (present_over_time(anyhop_build_info[1d]))',
    for: '1m',
    what: '{{ $labels.instance }} does not answer Prometheus.',
    todo: 'The process or the machine is down, or the way to it. With engine xdp the kernel may forward on without the process: `anyhop status` on the host says so.',
    fires: {
      series: { [`up{${NODE}}`]: '1x10 0x20', [`anyhop_build_info{${NODE},version="1"}`]: '1x10 _x20' },
      at: '20m',
      labels: EDGE_1,
    },
    silent: {
      series: { [`up{${NODE}}`]: '0x30', [`anyhop_build_info{${OTHER},version="1"}`]: '1x30' },
      at: '20m',
    },
  },
  {
    name: 'AnyhopNotReady',
    severity: 'warning',
    expr: 'anyhop_ready == 0',
    for: '1m',
    what: '{{ $labels.instance }} is not ready for traffic.',
    todo: 'Routers that follow `anyhop announce` send it nothing. `anyhop ready` on the node names what is missing.',
    ...flag('anyhop_ready', 0),
  },
  {
    name: 'AnyhopServiceNotReady',
    severity: 'critical',
    expr: 'anyhop_service_ready == 0',
    for: '1m',
    what: 'Packets for service {{ $labels.service }} reach no backend from {{ $labels.instance }}.',
    todo: '`anyhop ready --service {{ $labels.service }}` says why, `anyhop doctor` what to mend.',
    fires: {
      series: { [`anyhop_service_ready{${NODE},service="web"}`]: '0x10' },
      at: '5m',
      labels: { ...EDGE_1, service: 'web' },
    },
    silent: { series: { [`anyhop_service_ready{${NODE},service="web"}`]: '1x10' }, at: '5m' },
  },
  {
    name: 'AnyhopOrphaned',
    severity: 'critical',
    expr: 'anyhop_announce_orphaned == 1',
    for: '30s',
    what: 'The kernel of {{ $labels.instance }} forwards without a process.',
    todo: 'Nobody checks backends there, and VIPs are withdrawn after `announce.orphan_time`. Start the node again: `systemctl start anyhop`.',
    ...flag('anyhop_announce_orphaned', 1),
  },
  {
    name: 'AnyhopEngineDetached',
    severity: 'critical',
    expr: 'anyhop_engine_detached == 1',
    for: '1m',
    what: 'No packet reaches the engine of {{ $labels.instance }}.',
    todo: 'Another program took its own off the interface. `anyhop status` and `anyhop doctor` name it.',
    ...flag('anyhop_engine_detached', 1),
  },
  {
    name: 'AnyhopEngineSlower',
    severity: 'warning',
    expr: 'anyhop_engine_slower_than_fastest == 1 or anyhop_engine_info{mode=~"generic.*"} == 1',
    for: '5m',
    what: '{{ $labels.instance }} forwards by a slower engine or mode than others.',
    todo: 'A kernel or driver without XDP, or a missing capability. `anyhop doctor` on the node says which.',
    ...flag('anyhop_engine_slower_than_fastest', 1),
  },
  {
    name: 'AnyhopPacketsLost',
    severity: 'critical',
    expr:
      'sum by (job, instance) (rate(anyhop_engine_missed_packets_total[5m]) + rate(anyhop_engine_send_failed_packets_total[5m]))' +
      ' > 0.001 * sum by (job, instance) (rate(anyhop_engine_received_packets_total[5m]))',
    for: '5m',
    what: 'More than one packet in a thousand is lost around the engine of {{ $labels.instance }}.',
    todo: 'The machine is too slow for its traffic, a ring is too small, or the driver refuses packets. `anyhop doctor` looks at rings and queues.',
    fires: {
      series: {
        [`anyhop_engine_received_packets_total{${NODE}}`]: '0+60000x30',
        [`anyhop_engine_missed_packets_total{${NODE}}`]: '0+600x30',
        [`anyhop_engine_send_failed_packets_total{${NODE}}`]: '0x30',
      },
      at: '20m',
      labels: EDGE_1,
    },
    silent: {
      series: {
        [`anyhop_engine_received_packets_total{${NODE}}`]: '0+60000x30',
        [`anyhop_engine_missed_packets_total{${NODE}}`]: '0+6x30',
        [`anyhop_engine_send_failed_packets_total{${NODE}}`]: '0x30',
      },
      at: '20m',
    },
  },
  {
    name: 'AnyhopDrops',
    severity: 'warning',
    expr:
      `sum by (job, instance, verdict) (rate(anyhop_packets_total{verdict=~"drop_.*",verdict!~"${DEFENCE_DROPS}"}[5m])) > 10` +
      ` and sum by (job, instance, verdict) (rate(anyhop_packets_total{verdict=~"drop_.*",verdict!~"${DEFENCE_DROPS}"}[5m]))` +
      ` > on (job, instance) group_left () 0.01 * sum by (job, instance) (rate(anyhop_packets_total{verdict!~"pass_.*|${DEFENCE_DROPS}"}[5m]))`,
    for: '5m',
    what: '{{ $labels.instance }} drops more than 1 % of the packets for VIPs as {{ $labels.verdict }}.',
    todo: 'The page of verdicts says what it means. `anyhop capture "verdict {{ $labels.verdict }}"` shows the packets.',
    fires: {
      series: {
        [`anyhop_packets_total{${NODE},verdict="forwarded"}`]: '0+60000x30',
        [`anyhop_packets_total{${NODE},verdict="drop_no_service"}`]: '0+3000x30',
      },
      at: '20m',
      labels: { ...EDGE_1, verdict: 'drop_no_service' },
    },
    silent: {
      series: {
        [`anyhop_packets_total{${NODE},verdict="forwarded"}`]: '0+600000x30',
        [`anyhop_packets_total{${NODE},verdict="drop_no_service"}`]: '0+3000x30',
        [`anyhop_packets_total{${NODE},verdict="drop_blocked"}`]: '0+6000000x30',
      },
      at: '20m',
    },
  },
];

const FLEET: readonly Alert[] = [
  {
    name: 'AnyhopTablesDiffer',
    severity: 'critical',
    expr: 'count by (job, pool) (count by (job, pool, digest) (anyhop_pool_info)) > 1',
    for: '2m',
    what: 'Nodes have different lookup tables for pool {{ $labels.pool }}.',
    todo: 'A connection breaks when a router sends it to another node. `anyhop diff` of two nodes says what differs: a config, a drain, or how they see a backend.',
    fires: {
      series: {
        [`anyhop_pool_info{${NODE},pool="web",digest="a"}`]: '1x10',
        [`anyhop_pool_info{${OTHER},pool="web",digest="b"}`]: '1x10',
      },
      at: '5m',
      labels: { job: 'anyhop', pool: 'web' },
    },
    silent: {
      series: {
        [`anyhop_pool_info{${NODE},pool="web",digest="a"}`]: '1x10',
        [`anyhop_pool_info{${OTHER},pool="web",digest="a"}`]: '1x10',
        [`anyhop_pool_info{${OTHER},pool="dns",digest="b"}`]: '1x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopKeysDiffer',
    severity: 'critical',
    expr: 'count by (job) (count by (job, key_fingerprint, flow_hash_version) (anyhop_node_info)) > 1',
    for: '1m',
    what: 'Nodes of job {{ $labels.job }} have different keys, or different versions of the flow hash.',
    todo: 'They send nearly every flow to different backends. Give all nodes the same `node.key_file` and version.',
    fires: {
      series: {
        [`anyhop_node_info{${NODE},key_fingerprint="a",flow_hash_version="2"}`]: '1x10',
        [`anyhop_node_info{${OTHER},key_fingerprint="b",flow_hash_version="2"}`]: '1x10',
      },
      at: '5m',
      labels: { job: 'anyhop' },
    },
    silent: {
      series: {
        [`anyhop_node_info{${NODE},key_fingerprint="a",flow_hash_version="2"}`]: '1x10',
        [`anyhop_node_info{${OTHER},key_fingerprint="a",flow_hash_version="2"}`]: '1x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopVersionsDiffer',
    severity: 'warning',
    expr: 'count by (job) (count by (job, version) (anyhop_build_info)) > 1',
    for: '1h',
    what: 'Processes of job {{ $labels.job }} have different versions of anyhop.',
    todo: 'An upgrade has stopped half way.',
    fires: {
      series: {
        [`anyhop_build_info{${NODE},version="1"}`]: '1x90',
        [`anyhop_build_info{${OTHER},version="2"}`]: '1x90',
      },
      at: '80m',
      labels: { job: 'anyhop' },
    },
    silent: {
      series: {
        [`anyhop_build_info{${NODE},version="2"}`]: '1x90',
        [`anyhop_build_info{${OTHER},version="2"}`]: '1x90',
      },
      at: '80m',
    },
  },
  {
    name: 'AnyhopReloadRefused',
    severity: 'warning',
    expr: 'anyhop_config_last_reload_successful == 0',
    for: '1m',
    what: '{{ $labels.instance }} has refused its config; the former one is in force.',
    todo: '`anyhop check` on the host prints what is wrong. After a restart, a node would begin with its last good config.',
    ...flag('anyhop_config_last_reload_successful', 0),
  },
  {
    name: 'AnyhopImageNotInForce',
    severity: 'critical',
    expr: 'anyhop_image_publish_failed == 1',
    for: '1m',
    what: '{{ $labels.instance }} could not put its newest tables in force, and forwards by older ones.',
    todo: 'Backends that went down since then still get packets. `anyhop status` has the reason.',
    ...flag('anyhop_image_publish_failed', 1),
  },
  {
    name: 'AnyhopChangeWaits',
    severity: 'warning',
    expr: 'max by (job, pool) (anyhop_pool_changes_waiting) > 0',
    for: '2h',
    what: 'A change of pool {{ $labels.pool }} has been waiting for two hours.',
    todo: '`anyhop changes` says for what: usually for a drain whose connections do not end.',
    fires: {
      series: { [`anyhop_pool_changes_waiting{${NODE},pool="web"}`]: '1x150' },
      at: '140m',
      labels: { job: 'anyhop', pool: 'web' },
    },
    silent: { series: { [`anyhop_pool_changes_waiting{${NODE},pool="web"}`]: '1x60 0x90' }, at: '140m' },
  },
  {
    name: 'AnyhopFleetStoreAway',
    severity: 'warning',
    expr: 'anyhop_fleet_store_reachable == 0',
    for: '5m',
    what: '{{ $labels.instance }} gets no answer from the store of its fleet.',
    todo: 'It goes on by the revision in force, also through restarts, but takes no change. `anyhop status` has the reason, `etcdctl endpoint status` asks the servers.',
    ...flag('anyhop_fleet_store_reachable', 0),
  },
  {
    name: 'AnyhopFleetBehind',
    severity: 'critical',
    expr: 'anyhop_fleet_revision < on (job, instance) anyhop_fleet_revision_in_store',
    for: '1m',
    what: '{{ $labels.instance }} has an older revision of the config than its fleet, and is not ready.',
    todo: '`anyhop status` on the node says why it did not take it. The next `anyhop fleet apply` includes it again.',
    fires: {
      series: {
        [`anyhop_fleet_revision{${NODE}}`]: '6x10',
        [`anyhop_fleet_revision_in_store{${NODE}}`]: '7x10',
      },
      at: '5m',
      labels: EDGE_1,
    },
    silent: {
      series: {
        [`anyhop_fleet_revision{${NODE}}`]: '7x10',
        [`anyhop_fleet_revision_in_store{${NODE}}`]: '7x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopFleetStoreWentBack',
    severity: 'critical',
    expr: 'anyhop_fleet_revision > on (job, instance) anyhop_fleet_revision_in_store and on (job, instance) anyhop_fleet_revision_in_store > 0',
    for: '1m',
    what: 'The store of the fleet of {{ $labels.instance }} has forgotten revisions, as after a restore from an older snapshot.',
    todo: 'Every member keeps what it has. Apply the file that was in force again: it gets a number above theirs.',
    fires: {
      series: {
        [`anyhop_fleet_revision{${NODE}}`]: '7x10',
        [`anyhop_fleet_revision_in_store{${NODE}}`]: '6x10',
      },
      at: '5m',
      labels: EDGE_1,
    },
    silent: {
      series: {
        [`anyhop_fleet_revision{${NODE}}`]: '7x10',
        [`anyhop_fleet_revision_in_store{${NODE}}`]: '0x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopDiscoveryAlarm',
    severity: 'warning',
    expr: 'anyhop_discovery_alarm == 1 or anyhop_discovery_upstream_alarm == 1',
    for: '2m',
    what: 'The source of {{ if $labels.pool }}pool {{ $labels.pool }}{{ else }}upstream {{ $labels.upstream }}{{ end }} is not followed, says {{ $labels.instance }}.',
    todo: 'Nobody was taken away. `anyhop status` there, or `anyhop l7 status`, says why: no answer, an empty or wrong one, or more gone than `max_remove`.',
    fires: {
      series: { [`anyhop_discovery_alarm{${NODE},pool="web"}`]: '1x10' },
      at: '5m',
      labels: { ...EDGE_1, pool: 'web' },
    },
    silent: { series: { [`anyhop_discovery_alarm{${NODE},pool="web"}`]: '0x10' }, at: '5m' },
  },
  {
    name: 'AnyhopStateNotKept',
    severity: 'warning',
    expr: 'anyhop_state_not_kept == 1',
    for: '5m',
    what: '{{ $labels.instance }} cannot write what must survive a restart.',
    todo: 'After a restart, older connections may break. Look at `node.state_dir`: space, permissions.',
    ...flag('anyhop_state_not_kept', 1),
  },
];

const BACKENDS: readonly Alert[] = [
  {
    name: 'AnyhopNoBackend',
    severity: 'critical',
    expr: 'max by (job, instance, pool) (anyhop_backend_up) == 0',
    for: '30s',
    what: 'No backend of pool {{ $labels.pool }} is up on {{ $labels.instance }}.',
    todo: '`anyhop status` says why each is down; `anyhop trace VIP:PORT --all-backends` tries them.',
    fires: {
      series: {
        [`anyhop_backend_up{${NODE},pool="web",backend="web-1"}`]: '0x10',
        [`anyhop_backend_up{${NODE},pool="web",backend="web-2"}`]: '0x10',
      },
      at: '5m',
      labels: { ...EDGE_1, pool: 'web' },
    },
    silent: {
      series: {
        [`anyhop_backend_up{${NODE},pool="web",backend="web-1"}`]: '0x10',
        [`anyhop_backend_up{${NODE},pool="web",backend="web-2"}`]: '1x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopBackendDown',
    severity: 'warning',
    expr:
      'max by (job, pool, backend) (anyhop_backend_up) == 0' +
      ' and on (job, pool, backend) max by (job, pool, backend) (anyhop_backend_state{state="active"}) == 1',
    for: '2m',
    what: 'Backend {{ $labels.pool }}/{{ $labels.backend }} is down on every node.',
    todo: '`anyhop status` has the reason, `anyhop doctor --backend {{ $labels.backend }}` on a node looks at the way to it.',
    fires: {
      series: {
        [`anyhop_backend_up{${NODE},pool="web",backend="web-1"}`]: '0x10',
        [`anyhop_backend_state{${NODE},pool="web",backend="web-1",state="active"}`]: '1x10',
      },
      at: '5m',
      labels: { job: 'anyhop', pool: 'web', backend: 'web-1' },
    },
    silent: {
      series: {
        [`anyhop_backend_up{${NODE},pool="web",backend="web-1"}`]: '0x10',
        [`anyhop_backend_state{${NODE},pool="web",backend="web-1",state="active"}`]: '0x10',
        [`anyhop_backend_state{${NODE},pool="web",backend="web-1",state="draining"}`]: '1x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopBackendDownForSome',
    severity: 'warning',
    expr: 'min by (job, pool, backend) (anyhop_backend_up) == 0 and max by (job, pool, backend) (anyhop_backend_up) == 1',
    for: '2m',
    what: 'Backend {{ $labels.pool }}/{{ $labels.backend }} is up on some nodes and down on others.',
    todo: 'Their tables differ, and connections break when a router moves them. Run `anyhop doctor --backend {{ $labels.backend }}` on a node that has it as down.',
    fires: {
      series: {
        [`anyhop_backend_up{${NODE},pool="web",backend="web-1"}`]: '0x10',
        [`anyhop_backend_up{${OTHER},pool="web",backend="web-1"}`]: '1x10',
      },
      at: '5m',
      labels: { job: 'anyhop', pool: 'web', backend: 'web-1' },
    },
    silent: {
      series: {
        [`anyhop_backend_up{${NODE},pool="web",backend="web-1"}`]: '0x10',
        [`anyhop_backend_up{${OTHER},pool="web",backend="web-1"}`]: '0x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopPoolEmergency',
    severity: 'critical',
    expr: 'anyhop_pool_mode{mode!="normal"} == 1',
    for: '1m',
    what: 'Pool {{ $labels.pool }} on {{ $labels.instance }} is in mode {{ $labels.mode }}: too few backends are up.',
    todo: 'Backends that are down or draining get packets, since there are no others. `anyhop status` says which are up.',
    fires: {
      series: { [`anyhop_pool_mode{${NODE},pool="web",mode="panic"}`]: '1x10' },
      at: '5m',
      labels: { ...EDGE_1, pool: 'web', mode: 'panic' },
    },
    silent: { series: { [`anyhop_pool_mode{${NODE},pool="web",mode="normal"}`]: '1x10' }, at: '5m' },
  },
  {
    name: 'AnyhopImbalance',
    severity: 'warning',
    expr:
      '(sum by (job, pool, backend) (rate(anyhop_backend_packets_total[10m]))' +
      ' / on (job, pool) group_left () (sum by (job, pool) (rate(anyhop_backend_packets_total[10m])) > 1000))' +
      ' / on (job, pool, backend) (avg by (job, pool, backend) (anyhop_backend_slots)' +
      ' / on (job, pool) group_left () avg by (job, pool) (anyhop_pool_slots) > 0) > 2',
    for: '15m',
    what: 'Backend {{ $labels.pool }}/{{ $labels.backend }} gets more than twice the packets that its share of the slots says.',
    todo: 'A few heavy clients, or older connections after a drain. `anyhop top --by backend` shows it; give it less by `anyhop weight`.',
    fires: {
      series: {
        [`anyhop_backend_packets_total{${NODE},pool="web",backend="web-1"}`]: '0+600000x60',
        [`anyhop_backend_packets_total{${NODE},pool="web",backend="web-2"}`]: '0+60000x60',
        [`anyhop_backend_packets_total{${NODE},pool="web",backend="web-3"}`]: '0+60000x60',
        [`anyhop_backend_slots{${NODE},pool="web",backend="web-1"}`]: '84x60',
        [`anyhop_backend_slots{${NODE},pool="web",backend="web-2"}`]: '84x60',
        [`anyhop_backend_slots{${NODE},pool="web",backend="web-3"}`]: '83x60',
        [`anyhop_pool_slots{${NODE},pool="web"}`]: '251x60',
      },
      at: '50m',
      labels: { job: 'anyhop', pool: 'web', backend: 'web-1' },
    },
    silent: {
      series: {
        [`anyhop_backend_packets_total{${NODE},pool="web",backend="web-1"}`]: '0+600000x60',
        [`anyhop_backend_packets_total{${NODE},pool="web",backend="web-2"}`]: '0+60000x60',
        [`anyhop_backend_slots{${NODE},pool="web",backend="web-1"}`]: '228x60',
        [`anyhop_backend_slots{${NODE},pool="web",backend="web-2"}`]: '23x60',
        [`anyhop_pool_slots{${NODE},pool="web"}`]: '251x60',
      },
      at: '50m',
    },
  },
  {
    name: 'AnyhopAgentUnreachable',
    severity: 'warning',
    expr: 'max by (job, pool, backend) (anyhop_backend_agent_up) == 0',
    for: '5m',
    what: 'The agent of backend {{ $labels.pool }}/{{ $labels.backend }} answers no node.',
    todo: 'Its program delivers on, but drains cannot be counted, and it learns of no change. Look at `systemctl status anyhop-agent` there.',
    fires: {
      series: { [`anyhop_backend_agent_up{${NODE},pool="web",backend="web-1"}`]: '0x15' },
      at: '10m',
      labels: { job: 'anyhop', pool: 'web', backend: 'web-1' },
    },
    silent: {
      series: {
        [`anyhop_backend_agent_up{${NODE},pool="web",backend="web-1"}`]: '0x15',
        [`anyhop_backend_agent_up{${OTHER},pool="web",backend="web-1"}`]: '1x15',
      },
      at: '10m',
    },
  },
  {
    name: 'AnyhopChecksNotMade',
    severity: 'warning',
    expr: 'sum by (job, instance, pool) (rate(anyhop_checks_total{outcome="not_made"}[5m])) > 0',
    for: '5m',
    what: '{{ $labels.instance }} cannot make health checks of pool {{ $labels.pool }}.',
    todo: 'The fault is on the node: descriptors, ports, permissions. The log has `health_unknown`.',
    fires: {
      series: { [`anyhop_checks_total{${NODE},pool="web",kind="tcp",outcome="not_made"}`]: '0+6x30' },
      at: '20m',
      labels: { ...EDGE_1, pool: 'web' },
    },
    silent: {
      series: { [`anyhop_checks_total{${NODE},pool="web",kind="tcp",outcome="failed"}`]: '0+6x30' },
      at: '20m',
    },
  },
  {
    name: 'AnyhopAgentFaults',
    severity: 'warning',
    expr: 'anyhop_agent_findings{level=~"error|not_ready"} > 0',
    for: '5m',
    what: 'The agent on {{ $labels.instance }} finds something wrong with its host.',
    todo: '`anyhop doctor` there says what it is, and the line that mends it.',
    fires: {
      series: { [`anyhop_agent_findings{${NODE},level="error"}`]: '1x15' },
      at: '10m',
      labels: { ...EDGE_1, level: 'error' },
    },
    silent: { series: { [`anyhop_agent_findings{${NODE},level="warning"}`]: '1x15' }, at: '10m' },
  },
  {
    name: 'AnyhopStrangers',
    severity: 'warning',
    expr: 'sum by (job, instance) (rate(anyhop_agent_packets_total{verdict="drop_stranger"}[5m])) > 1',
    for: '5m',
    what: 'Backend {{ $labels.instance }} drops GRE packets for VIPs from a stranger.',
    todo: 'A forwarder is missing in `agent.forwarders`, or somebody forges GRE. `anyhop capture --agent "verdict drop_stranger"` shows from where.',
    fires: {
      series: { [`anyhop_agent_packets_total{${NODE},verdict="drop_stranger"}`]: '0+600x30' },
      at: '20m',
      labels: EDGE_1,
    },
    silent: {
      series: { [`anyhop_agent_packets_total{${NODE},verdict="delivered"}`]: '0+600x30' },
      at: '20m',
    },
  },
];

const AROUND: readonly Alert[] = [
  {
    name: 'AnyhopVipNotAnnounced',
    severity: 'critical',
    expr: 'sum by (job, vip) (anyhop_announce_vip_state{state="announced"}) == 0',
    for: '1m',
    what: 'No node announces {{ $labels.vip }}.',
    todo: 'Routers have no way to it. `anyhop announce --status` on a node says why.',
    fires: {
      series: {
        [`anyhop_announce_vip_state{${NODE},vip="203.0.113.10",state="announced"}`]: '0x10',
        [`anyhop_announce_vip_state{${OTHER},vip="203.0.113.10",state="announced"}`]: '0x10',
      },
      at: '5m',
      labels: { job: 'anyhop', vip: '203.0.113.10' },
    },
    silent: {
      series: {
        [`anyhop_announce_vip_state{${NODE},vip="203.0.113.10",state="announced"}`]: '0x10',
        [`anyhop_announce_vip_state{${OTHER},vip="203.0.113.10",state="announced"}`]: '1x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopAnnounceHeld',
    severity: 'warning',
    expr: 'anyhop_announce_held == 1',
    for: '4h',
    what: '{{ $labels.instance }} has announced nothing for four hours, since somebody said so.',
    todo: 'Maintenance that was forgotten? `anyhop announce --resume` ends it.',
    ...flag('anyhop_announce_held', 1, 300),
  },
  {
    name: 'AnyhopHaproxyDown',
    severity: 'critical',
    expr: 'anyhop_l7_haproxy_up == 0',
    for: '30s',
    what: 'HAProxy does not serve on {{ $labels.instance }}.',
    todo: '`anyhop l7 status` on the host says why; the forwarders take it out by its health check.',
    ...flag('anyhop_l7_haproxy_up', 0),
  },
  {
    name: 'AnyhopHaproxyRestarts',
    severity: 'warning',
    expr: 'increase(anyhop_l7_haproxy_restarts_total[1h]) > 1',
    for: '0s',
    what: 'HAProxy on {{ $labels.instance }} ended by itself more than once in the last hour.',
    todo: 'Its connections were cut each time. The log of `anyhop l7 run` has its last words.',
    fires: {
      series: { [`anyhop_l7_haproxy_restarts_total{${NODE}}`]: '0x10 4x60' },
      at: '30m',
      labels: EDGE_1,
    },
    silent: { series: { [`anyhop_l7_haproxy_restarts_total{${NODE}}`]: '4x70' }, at: '30m' },
  },
  {
    name: 'AnyhopUpstreamEmpty',
    severity: 'critical',
    expr: 'max by (job, upstream) (anyhop_l7_upstream_usable_servers) == 0',
    for: '30s',
    what: 'Upstream {{ $labels.upstream }} has no server that gets requests.',
    todo: 'Its requests are answered with 503. `anyhop l7 status` says why each server is down.',
    fires: {
      series: { [`anyhop_l7_upstream_usable_servers{${NODE},upstream="shop"}`]: '0x10' },
      at: '5m',
      labels: { job: 'anyhop', upstream: 'shop' },
    },
    silent: { series: { [`anyhop_l7_upstream_usable_servers{${NODE},upstream="shop"}`]: '1x10' }, at: '5m' },
  },
  {
    name: 'AnyhopServerDown',
    severity: 'warning',
    expr: 'max by (job, upstream, server) (anyhop_l7_server_up) == 0',
    for: '2m',
    what: 'Server {{ $labels.upstream }}/{{ $labels.server }} is down for every proxy host.',
    todo: '`anyhop l7 status` has what its check said.',
    fires: {
      series: { [`anyhop_l7_server_up{${NODE},upstream="shop",server="s1"}`]: '0x10' },
      at: '5m',
      labels: { job: 'anyhop', upstream: 'shop', server: 's1' },
    },
    silent: {
      series: {
        [`anyhop_l7_server_up{${NODE},upstream="shop",server="s1"}`]: '0x10',
        [`anyhop_l7_server_up{${OTHER},upstream="shop",server="s1"}`]: '1x10',
      },
      at: '5m',
    },
  },
  {
    name: 'AnyhopCertificateExpires',
    severity: 'warning',
    expr: 'min by (job, frontend, file) (anyhop_l7_certificate_expiry_timestamp_seconds) - time() < 14 * 86400',
    for: '1h',
    what: 'A certificate of frontend {{ $labels.frontend }} ends in {{ $value | humanizeDuration }}.',
    todo: 'Renew {{ $labels.file }}. `anyhop l7 run` takes the new one by itself.',
    fires: {
      series: {
        [`anyhop_l7_certificate_expiry_timestamp_seconds{${NODE},frontend="web",file="a.pem"}`]: '864000x90',
      },
      at: '80m',
      labels: { job: 'anyhop', frontend: 'web', file: 'a.pem' },
    },
    silent: {
      series: {
        [`anyhop_l7_certificate_expiry_timestamp_seconds{${NODE},frontend="web",file="a.pem"}`]: '8640000x90',
      },
      at: '80m',
    },
  },
  {
    name: 'AnyhopLogLost',
    severity: 'warning',
    expr: 'increase(anyhop_log_lines_lost_total[10m]) > 0',
    for: '0s',
    what: '{{ $labels.instance }} could not write lines to its log.',
    todo: 'Standard error is full or closed. `anyhop events` has those of the last day.',
    fires: { series: { [`anyhop_log_lines_lost_total{${NODE}}`]: '0x10 5x20' }, at: '15m', labels: EDGE_1 },
    silent: { series: { [`anyhop_log_lines_lost_total{${NODE}}`]: '5x30' }, at: '15m' },
  },
  {
    name: 'AnyhopBusy',
    severity: 'warning',
    expr: 'rate(anyhop_event_loop_active_seconds_total[5m]) > 0.8',
    for: '10m',
    what: 'The main thread of {{ $labels.instance }} is busy for more than 80 % of the time.',
    todo: 'Health checks and answers come late. Too many backends or checks for one node, or too short intervals.',
    fires: {
      series: { [`anyhop_event_loop_active_seconds_total{${NODE}}`]: '0+54x40' },
      at: '30m',
      labels: EDGE_1,
    },
    silent: { series: { [`anyhop_event_loop_active_seconds_total{${NODE}}`]: '0+6x40' }, at: '30m' },
  },
  {
    name: 'AnyhopDescriptors',
    severity: 'warning',
    expr: '(process_open_fds > 0.8 * process_max_fds) and on (job, instance) anyhop_build_info',
    for: '5m',
    what: '{{ $labels.instance }} has more than 80 % of its file descriptors open.',
    todo: 'Health checks fail without free descriptors. Raise LimitNOFILE of its unit.',
    fires: {
      series: {
        [`process_open_fds{${NODE}}`]: '900x15',
        [`process_max_fds{${NODE}}`]: '1024x15',
        [`anyhop_build_info{${NODE}}`]: '1x15',
      },
      at: '10m',
      labels: EDGE_1,
    },
    silent: {
      series: { [`process_open_fds{${NODE}}`]: '900x15', [`process_max_fds{${NODE}}`]: '1024x15' },
      at: '10m',
    },
  },
];

const FLOODS: readonly Alert[] = [
  {
    name: 'AnyhopListsFailed',
    severity: 'warning',
    expr: 'anyhop_defend_lists_failed == 1',
    for: '1m',
    what: '{{ $labels.instance }} cannot put its lists of blocked and allowed sources in force.',
    todo: 'The former lists stay, and it tries again every 10 s. `anyhop defend status` and the log say why; memory is the usual reason.',
    fires: { series: { [`anyhop_defend_lists_failed{${NODE}}`]: '1x10' }, at: '5m', labels: EDGE_1 },
    silent: { series: { [`anyhop_defend_lists_failed{${NODE}}`]: '0x10' }, at: '5m' },
  },
  {
    name: 'AnyhopUnderAttack',
    severity: 'warning',
    expr: 'max by (job, service, kind) (anyhop_defend_attack) == 1',
    for: '1m',
    what: 'Service {{ $labels.service }} is under attack ({{ $labels.kind }}).',
    todo: '`anyhop defend status` on a node says what each rule does about it, `anyhop defend top` who sends most. In mode observe it passes to the backends.',
    fires: {
      series: { [`anyhop_defend_attack{${NODE},service="web",kind="syn_flood"}`]: '1x10' },
      at: '5m',
      labels: { job: 'anyhop', service: 'web', kind: 'syn_flood' },
    },
    silent: {
      series: { [`anyhop_defend_attack{${NODE},service="web",kind="syn_flood"}`]: '0x10' },
      at: '5m',
    },
  },
  {
    name: 'AnyhopSynsLimited',
    severity: 'critical',
    expr: 'sum by (job, service) (rate(anyhop_defend_packets_total{rule="syn_limited",effect="did"}[2m])) > 10',
    for: '2m',
    what: 'In a flood, SYNs of clients to {{ $labels.service }} are dropped with the others.',
    todo: 'Backends that cannot take SYN cookies get SYNs up to a cap only, or the budget for answers is used up. `anyhop defend status` names the backends, and why.',
    fires: {
      series: {
        [`anyhop_defend_packets_total{${NODE},service="web",rule="syn_limited",effect="did"}`]: '0+6000x20',
      },
      at: '15m',
      labels: { job: 'anyhop', service: 'web' },
    },
    silent: {
      series: {
        [`anyhop_defend_packets_total{${NODE},service="web",rule="syn_limited",effect="would"}`]: '0+6000x20',
        [`anyhop_defend_packets_total{${NODE},service="web",rule="syn_cookies",effect="did"}`]: '0+6000x20',
      },
      at: '15m',
    },
  },
  {
    name: 'AnyhopNoSynCookies',
    severity: 'warning',
    expr: 'min by (job, pool, backend) (anyhop_defend_backend_takes_cookies) == 0',
    for: '15m',
    what: 'Backend {{ $labels.pool }}/{{ $labels.backend }} cannot take SYN cookies.',
    todo: 'In a flood, SYNs to it pass under a cap. `anyhop defend status` on a node has the reason, `anyhop doctor` on the backend the line that mends it.',
    fires: {
      series: {
        [`anyhop_defend_backend_takes_cookies{${NODE},pool="web",backend="web-1"}`]: '0x30',
        [`anyhop_defend_backend_takes_cookies{${OTHER},pool="web",backend="web-1"}`]: '1x30',
      },
      at: '20m',
      labels: { job: 'anyhop', pool: 'web', backend: 'web-1' },
    },
    silent: {
      series: { [`anyhop_defend_backend_takes_cookies{${NODE},pool="web",backend="web-1"}`]: '0x5 1x25' },
      at: '20m',
    },
  },
  {
    name: 'AnyhopListNotRead',
    severity: 'warning',
    expr: 'anyhop_defend_list_file_problem == 1',
    for: '15m',
    what: '{{ $labels.instance }} could not read {{ $labels.file }} anew: its former prefixes are in force, if it ever had any.',
    todo: '`anyhop defend status` says file, line and what is wrong. Of a file that shrank on purpose: `anyhop reload --force`.',
    fires: {
      series: { [`anyhop_defend_list_file_problem{${NODE},list="block",file="/b.txt"}`]: '1x30' },
      at: '20m',
      labels: { ...EDGE_1, list: 'block', file: '/b.txt' },
    },
    silent: {
      series: { [`anyhop_defend_list_file_problem{${NODE},list="block",file="/b.txt"}`]: '1x5 0x25' },
      at: '20m',
    },
  },
];

/** By the groups of the file. */
export const ALERTS: Readonly<Record<string, readonly Alert[]>> = {
  forwarding: FORWARDING,
  fleet: FLEET,
  backends: BACKENDS,
  floods: FLOODS,
  around: AROUND,
};
