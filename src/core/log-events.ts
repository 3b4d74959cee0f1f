/**
 * Every event of the log, with its meaning. Each line of the log has one of these names as `event`. The reference page of log
 * events is generated from this list.
 */
export const LOG_EVENTS = {
  adopted: 'The engine `xdp` found a program of the same kind on the interface and continues with it.',
  announced: "Routers are told of VIPs: rows with the metric of the first choice are in the kernel's table.",
  attached:
    "The engine's program is on the interface; `mode` says whether it runs in the driver or before the stack.",
  attached_again:
    "Another program had removed the engine's program, or the agent's at tc ingress, from the interface; it was attached again.",
  attack_begins:
    'More of something than usual comes to a service: `kind` says of what, `peak` how many a second. Told once.',
  attack_ends:
    'An attack is over for half a minute; the text says how long it took, its busiest second, and what was dropped or answered.',
  bad_checksums:
    'The host drops packets with wrong checksums as fast as the agent delivers; `hint` says what to do.',
  bpffs_private: 'The BPF file system ends with this process, and forwarding ends with it.',
  capture_ended: 'The capture over the control socket has ended; `lost` counts the packets that it missed.',
  capture_started: 'Somebody captures packets over the control socket, which hold what clients send.',
  certificate_refused:
    'Certificates in the directory of a frontend cannot be used; the former ones stay in force.',
  change_taken_back:
    'A change could not be put in force and was withdrawn; the previous state stays in force.',
  check_failed: 'A health check of a backend that is up failed; `fall` of them in a row take it down.',
  clock_stepped:
    'The clock of this host was set: backends refuse SYN cookies of a host whose time is another than theirs.',
  config_refused: 'The config file is wrong; the node starts with the last good one.',
  config_warning: 'The config file has a likely mistake; the text names line and field.',
  control_fault: 'The node failed while it answered a request on the control socket.',
  control_socket: 'The control socket could not accept a connection.',
  cookies_not_taken:
    'The host of an agent takes no SYN cookies of the fleet, and its forwarders are told so; the text says why, `hint` what to do.',
  cookies_taken: 'The host of an agent takes SYN cookies of the fleet, and its forwarders are told so.',
  counters: 'The final counters, when the process ends.',
  counters_dropped: 'Counters of the former program could not be carried over; they start from zero.',
  counters_unknown: 'The counters cannot be read at the moment.',
  detached: "Another program has removed the engine's program from the interface.",
  discovered:
    'Backends of pools with `backends_from`, or servers of upstreams with `servers_from`, joined, drain or left, because a source says so.',
  discovery_alarm:
    'The answer of a source of backends or servers is not followed, or there is none: `kind` and the text say why. Nobody was taken away.',
  discovery_elected: 'This node asks the sources for its fleet, until another one does.',
  discovery_key: 'The key with which this node would sign what it finds cannot be made or read.',
  discovery_well: 'The answers of that source are followed again.',
  drain_asked:
    'The host of a backend asks the forwarders to drain it: its agent logs this, and so does each forwarder that learns of it.',
  drain_no_longer_asked: 'The host of a backend no longer asks the forwarders to drain it.',
  drain_not_taken: 'A drain that agents ask for, or its end, cannot be planned; the node tries again.',
  drained: 'A drain is done: no connection is left, or its deadline has passed.',
  draining:
    'Routers are told that this node leaves, by rows with `announce.drain_metric`; it still forwards.',
  draining_mark_unusable:
    'The agent cannot tell whether its host asks to be drained, and reports that it does not.',
  dumps_allowed: "The process could not forbid core dumps, which would contain the fleet's key.",
  engine: 'The engine that runs, its mode, and why it was chosen.',
  environment: 'Something on the host keeps the agent from working well; `hint` says what to do.',
  events_left_out:
    'So many events happened at once that the text counts those that are in the log alone. Only among kept events.',
  events_not_kept: 'Events cannot be written to disk, and end with the process; the text says why.',
  feed_failed: 'A daemon that reads no kernel table cannot be told of the rows of VIPs; it is tried again.',
  feed_recovered: 'That daemon is told of the rows again.',
  feeding: 'A daemon that reads no kernel table is told of the rows of VIPs from now on.',
  filter_unknown: 'The nftables table of the engine `portable` cannot be watched.',
  fleet_active:
    "Another revision of the fleet's config is in force here; `by` and `message` say whose, and why.",
  fleet_agents_late:
    'Agents or proxy hosts did not switch to a revision in time, and the forwarder does not wait any longer.',
  fleet_differs:
    'The tables of the revision in force are others here than those that the operator signed: another build. The node is not ready.',
  fleet_idle: 'A revision of the fleet has nothing for this host, which waits for one that has.',
  fleet_missed:
    'Revisions were in force while this node had another one, or none; it remembers those of the settle time.',
  fleet_missed_unread:
    'A revision that was in force while this node had another one is not remembered: connections that began then may break.',
  fleet_name_twice: 'Another process says of itself that it is this member of the fleet.',
  fleet_refused:
    "A revision of the fleet's config cannot be taken here; `reason` says why, and what was in force stays.",
  fleet_store_away: 'The store of the fleet does not answer; everything goes on by the revision in force.',
  fleet_store_back: 'The store of the fleet answers again.',
  fleet_store_refuses:
    "The store of the fleet refuses this host a right that it needs; `why` is the store's answer.",
  fleet_store_went_back:
    'The store of the fleet has forgotten writes, as after a restore from an older snapshot.',
  fleet_waits:
    'The process has nothing to do yet, and waits for a revision of its fleet that has something for this host.',
  flow_hash_changed:
    'The node replaced a program with another version of the flow hash: nearly every flow has another backend, and connections break.',
  follow_failed: 'Health and next hops of backends are no longer followed; the node tries again.',
  follower_failed: 'What is announced could not be passed on to a file or a region.',
  following: '`anyhop announce` follows a node; the text says where, and which table gets the rows.',
  generic_xdp: 'The driver accepts no XDP program, so the program runs before the stack, which is slower.',
  haproxy: 'HAProxy itself says something; `process` is the number of its process.',
  haproxy_ended: 'HAProxy has ended without being asked to, and is started again.',
  haproxy_files_kept: 'Files of former configs of HAProxy, which may contain keys, could not be removed.',
  haproxy_leftover:
    'A former process that was killed left HAProxy running; it ends now that the new one serves.',
  haproxy_not_started: 'HAProxy could not be started again; the next attempt follows.',
  haproxy_refused: 'HAProxy refused a config, and the former one stays in force; `problems` has the reasons.',
  haproxy_reloaded:
    'HAProxy serves with a new config; its former worker finishes the connections that it has.',
  haproxy_sockets_lost:
    'A reload could not hand over the listening sockets, so connections that waited there are lost.',
  haproxy_up: 'HAProxy serves.',
  health: 'A backend is up or down now, by all its checks; `reason` says why.',
  health_agreed:
    'A backend is up or down for the whole fleet now, by what its nodes see together; `reason` says why.',
  health_unknown:
    'A backend cannot be checked because of this machine, for example without free file descriptors.',
  interim_counters: 'The counters so far, once a minute.',
  l7_certificate_expires:
    'A certificate has expired or expires within two weeks; said at once, and then once a day.',
  l7_certificates: 'Other certificates are in force on this proxy host.',
  l7_command_refused: 'HAProxy did not do a command at runtime; it is reloaded instead.',
  l7_drain: 'The drain of this proxy host has come to another stage; the text says which, and why.',
  l7_health_available: 'Health checks of this proxy host are answered now.',
  l7_health_unavailable: 'Health checks of this proxy host cannot be answered on an address.',
  l7_no_backend: 'None of the backends in the config has an address of this proxy host.',
  l7_reload_refused:
    'A config for the layer-7 tier is wrong or refused by HAProxy; the former one stays in force.',
  l7_reloaded:
    'A config for the layer-7 tier is in force; `applied` says how, and `tookMs` how long that took.',
  l7_server: 'A server of an upstream was drained, or given another weight, by command.',
  l7_server_failing:
    'A server of an upstream failed requests in a row and is taken out until its checks pass again.',
  l7_state_not_kept:
    'What was said of servers at runtime could not be written and will not survive a restart.',
  l7_state_unused: 'What was said of servers at runtime cannot be read; servers are as in the config.',
  l7_task_failed: 'Something that a proxy host does again and again failed; it is tried again.',
  l7_torn: 'A change failed half way and could not be taken back; the next reload of HAProxy mends that.',
  left: 'The agent ends; its program keeps delivering.',
  left_forwarding: 'The node ends; its program keeps forwarding until `anyhop run` or `anyhop stop`.',
  list_refused:
    'A file of `defend.allow` or `defend.block` cannot be used; what was read of it before stays in force, also of a process before.',
  listener_available: 'Metrics, and the pages beside them, are answered on an address.',
  listener_ended:
    'The thread that answers for metrics has ended and is started again; nothing else is touched.',
  listener_failed: 'A request for metrics or pages could not be answered.',
  listener_refused:
    'A client was refused where metrics are answered: no certificate that is believed, or a wrong password; said once a minute, with `count`.',
  listener_unavailable: 'An address for metrics cannot be listened on, and is tried again.',
  lists: 'Other lists of allowed and blocked prefixes are in force.',
  lists_failed:
    'Lists of allowed and blocked prefixes could not be put in force; the former ones stay, and it is tried again.',
  local_vips_unknown: 'The kernel did not say whether VIPs are addresses of this host.',
  log_lost: 'Lines before this one could not be written to the log; `lines` counts them.',
  macs_unknown: 'Additional MAC addresses of the interface cannot be read.',
  memory_full: 'A pool was in more states within a settle time than are remembered: the oldest made room.',
  memory_unused: 'The remembered state of a pool cannot be used any more.',
  metrics_failed: 'The process could not tell its metrics, and answers that it cannot.',
  monitor_lost: 'The program that follows routes and neighbours has ended and is started again.',
  narrow_path: 'The path to a backend is too narrow for wrapped full-sized packets.',
  new_addresses: 'This host has new addresses of backends, and the agent serves them now.',
  next_hop: 'The next hop of backends was found or has changed.',
  next_hops_unknown: 'The kernel did not say which next hops backends have.',
  no_next_hop: 'Backends have no next hop; `reason` says why.',
  not_left: 'The program should keep forwarding after the node ends, but cannot.',
  not_pinned: 'The program cannot be pinned, so the next process cannot take it over without a gap.',
  not_ready: 'The node is not ready for traffic; `reasons` says why.',
  orphan_unknown: 'The kernel did not say whether it forwards on without a process.',
  orphaned:
    '`anyhop announce` hears no process of the node that serves; what stays announced is judged by the kernel alone.',
  own_mac: 'The MAC addresses of the interface have changed, and the node accepts frames for the new ones.',
  packets_lost: 'Packets could not be sent, or arrived faster than they were read.',
  path_mtu: 'A router reports that the path to backends has a smaller MTU than the route says.',
  path_mtu_expired: 'A path MTU that routers reported has expired; larger packets are tried again.',
  path_mtu_raised: 'A router reports a path MTU that is too small to be believed.',
  path_mtu_unheard: "Routers' messages about packets that are too big cannot be received.",
  path_mtu_without_size: 'A router reports that packets are too big, but not which size fits.',
  pinned_again: 'Pins had been removed by another program, and were made again.',
  pins_lost: 'Pins are gone and cannot be made again; forwarding or delivering ends with this process.',
  pins_unreadable: 'The pins of a former process cannot be read.',
  pool: 'A pool has new tables; the fields have the digests that nodes compare.',
  pool_change: 'A change of a pool came into force, waits, or was dropped.',
  process_ended: 'A process of anyhop ended by itself. Only among kept events.',
  process_started:
    'A process of anyhop starts; the text says when no end of the one before is kept, as after a kill. Only among kept events.',
  publish_failed: 'An image could not be put in force; the previous one stays, and the node tries again.',
  published: 'An image is in force.',
  ready: 'The node forwards and is ready for traffic, or the agent delivers.',
  region: 'A region is up or down for a host name of the DNS, or has another weight.',
  region_available: 'DNS hosts can ask this node on an address.',
  region_node_heard: 'A node of a region answers this DNS host; `ready` says whether it announces anything.',
  region_node_lost:
    'A node of a region gives no good answer, and counts as not ready; `why` has the last failure.',
  region_refused:
    'A client without a certificate that is believed has asked a node; said once a minute, with `count`.',
  region_unavailable: 'DNS hosts cannot ask this node on an address, which is tried again.',
  regions_not_written:
    'The files of the regions could not be written, or the DNS server did not read them; it is tried again.',
  regions_open: 'No region announces any VIP of a host name, and the DNS answers all of them.',
  regions_written: 'The DNS server has read what the regions say now.',
  reload: 'SIGHUP asked for a reload.',
  reload_refused: 'A reload was refused, and nothing has changed.',
  reloaded: 'The config file was read again and is in force.',
  replaced: 'The former program was replaced without a gap.',
  report_available: 'The agent reports on an address again.',
  report_failed: 'The agent could not make a report.',
  report_unavailable: 'The agent cannot listen on an address, and tries again.',
  row_refused:
    'VIPs cannot be announced: another program has a row in the place of theirs or before it, or the kernel refuses theirs.',
  row_removed: 'Rows like those of `anyhop announce` that another program made were removed.',
  row_restored: 'Rows that another program had removed were put back.',
  rows_adopted: 'Rows of a former `anyhop announce` were found, and stay as the node says.',
  rows_moved: 'Rows were removed from the table that `announce.table` named before.',
  rows_unknown: 'Rows cannot be read or changed; it is tried again.',
  send_failed: 'The engine `portable` could not send packets.',
  service_not_ready: 'Services of a pool are not ready; `reason` says why.',
  service_ready: 'Services of a pool are ready again.',
  settled:
    'The settle time after a reload is over: the agent no longer accepts former forwarders and addresses.',
  stale_pins: 'Pins that belong to no program were removed.',
  state_not_kept: 'State that must survive the process could not be written.',
  state_unusable: 'The state kept across a restart cannot be used.',
  stop_delay: 'The node is stopping, and keeps forwarding for its stop delay.',
  stop_failed: 'The agent could not end as it was asked to; the text says how it ends.',
  stopping: 'The process is about to end; `why` has the reason.',
  stray_frames: 'Packets for VIPs arrive in frames for other MAC addresses and are not forwarded.',
  swept: 'Pins of interfaces or network namespaces that are gone were removed.',
  too_many_macs: 'The host has more MAC addresses on the interface than an image can hold.',
  track_file:
    'keepalived finds another number in its track file: 100 for a node that is ready, 0 for one that is not.',
  track_file_failed: 'The track file of keepalived cannot be written; tried again each second.',
  track_file_restored: 'Another program has changed the track file of keepalived; it is written again.',
  veth: 'The interface is a veth, which needs two settings; `hint` names them.',
  vip_local: 'A VIP is now an address of this host.',
  vip_not_local: 'A VIP is no longer an address of this host.',
  vips_gone: 'VIPs are no longer addresses of this host, and the agent drops packets for them.',
  vips_here: 'VIPs are addresses of this host, and the agent delivers packets for them.',
  vips_unknown: 'The kernel did not say which VIPs this host has.',
  withdrawn: 'VIPs have no row any more, so routers send this node nothing for them; `reason` says why.',
} as const satisfies Readonly<Record<string, string>>;

export type LogEventName = keyof typeof LOG_EVENTS;
