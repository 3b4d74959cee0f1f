/**
 * Every limit of the control side, in one place. Relations between limits are asserted when this file loads. Limits that the
 * packet side shares (probe lengths, header sizes) are in native/include/anyhop/image.h. A name ends with its unit.
 */

/** Default M of a pool: the smaller of the two sizes in the Maglev paper (section 5.3). */
export const TABLE_SIZE_DEFAULT = 65537;
/** A smaller table would be uneven and save nothing. */
export const TABLE_SIZE_MIN = 251;
/** The larger of the paper's sizes; such a pool takes 1.3 MiB of an image, and 2.5 more with second chance. */
export const TABLE_SIZE_MAX = 655373;
/** With fewer slots per backend, some backends are visibly busier than others (paper, section 5.3). */
export const SLOTS_PER_BACKEND_ADVISED = 100;

/** Layers of a pool's stack of tables; n backends with weight above 0 give min(LAYERS_MAX, n). */
export const LAYERS_MAX = 4;

export const POOLS_MAX = 256;
export const BACKENDS_PER_POOL_MAX = 4096;
/** Over all pools of a node, members of remembered states included. */
export const BACKENDS_MAX = 65535;
export const SERVICES_MAX = 4096;
export const VIPS_MAX = 4096;
export const WEIGHT_MAX = 65535;
/** Of a backend's id: 15 bits of a GRE key. */
export const BACKEND_ID_MAX = 32767;

/** Health checks; src/config/health-schema.ts says what these mean. */
/** Checks of one pool, all of which must pass. */
export const HEALTH_CHECKS_MAX = 4;
export const HEALTH_INTERVAL_MS_DEFAULT = 2000;
export const HEALTH_INTERVAL_MS_MIN = 100;
export const HEALTH_INTERVAL_MS_MAX = 3_600_000;
export const HEALTH_TIMEOUT_MS_DEFAULT = 1000;
export const HEALTH_TIMEOUT_MS_MIN = 10;
export const HEALTH_RISE_DEFAULT = 2;
export const HEALTH_FALL_DEFAULT = 3;
/** Results in a row. */
export const HEALTH_COUNT_MAX = 100;
export const HEALTH_JITTER_DEFAULT = 0.1;
export const HEALTH_JITTER_MAX = 0.5;
/** Size of a payload, of an expected answer, or of an expected part of a body. */
export const HEALTH_BYTES_MAX = 1024;
/** Part of a body that is searched for the expected text. */
export const HEALTH_BODY_BYTES_MAX = 64 * 1024;
/** Status line and headers of an answer; an answer with more is judged by its status only. */
export const HEALTH_HEAD_BYTES_MAX = 128 * 1024;
/** A whole answer: room for a body in chunks of one byte each. */
export const HEALTH_ANSWER_BYTES_MAX = 1024 * 1024;
/** Reads for one answer, so that a server that sends single bytes costs a bounded number of turns. */
export const HEALTH_ANSWER_READS_MAX = 1024;
export const HEALTH_CA_BYTES_MAX = 1024 * 1024;
export const DEAD_AFTER_MS_DEFAULT = 300_000;
export const DEAD_AFTER_MS_MIN = 1000;
export const DEAD_AFTER_MS_MAX = 86_400_000;

/** Should be longer than most connections live: owners before a change are remembered for this long. */
export const SETTLE_MS_DEFAULT = 300_000;
export const SETTLE_MS_MIN = 1000;
export const SETTLE_MS_MAX = 7 * 86_400_000;
/** After this time a drain counts as done, even if connections are left. */
export const DRAIN_DEADLINE_MS_DEFAULT = 3_600_000;
export const DRAIN_DEADLINE_MS_MIN = 1000;
export const DRAIN_DEADLINE_MS_MAX = 30 * 86_400_000;
/** How long a stopping node may keep forwarding after it reports that it is not ready. */
export const STOP_DELAY_MS_MAX = 600_000;

/** Longer than a batch takes, and too short to show in `top`. */
export const BUSY_POLL_US_DEFAULT = 50;
/** One second: practically forever. */
export const BUSY_POLL_US_MAX = 1_000_000;
export const BPFFS_DEFAULT = '/sys/fs/bpf';
/** For commands without another file. */
export const CONFIG_FILE_DEFAULT = '/etc/anyhop/anyhop.yaml';
export const STATE_DIRECTORY_DEFAULT = '/var/lib/anyhop';
/** TCP port of agents' reports. */
export const AGENT_REPORT_PORT_DEFAULT = 9611;
/** Where a host asks to be drained (src/agent/draining-mark.ts). */
export const RUN_DIRECTORY_DEFAULT = '/run/anyhop';
/** Forwarders that an agent remembers for each of its addresses: some 50 KB of a report. */
export const FORWARDERS_HEARD_MAX = 512;
/** A forwarder is forgotten that has not asked for so many of its intervals. */
export const FORWARDER_INTERVALS_HEARD = 3;
/** BACKENDS_MAX backends are asked every 22 minutes. */
export const FORWARDER_ASKS_EVERY_MS_MAX = 3_600_000;
/** After a change that a backend's agent asked for, the next one of that backend has to wait for so long. */
export const AGENT_DRAIN_PAUSE_MS = 10_000;
/** For how long an agent takes no SYN cookies, by its report, after its kernel has refused one. */
export const COOKIES_REFUSED_MS = 300_000;
/** `anyhop trace`: source ports that are tried for a flow of one backend; a try takes 2 us of the node's thread. */
export const TRACE_PORTS_MAX = 4096;
/** How long an agent watches a forwarder's probe, and packets of it that it tells. */
export const PROBE_WAIT_MS_MIN = 50;
export const PROBE_WAIT_MS_MAX = 5_000;
export const PROBE_SEEN_MAX = 64;
/** That an agent watches at once. */
export const PROBES_AT_ONCE = 4;
/** What routers say to one `anyhop trace` that is remembered. */
export const TRACE_ERRORS_MAX = 256;
/** Linux: sun_path without the closing NUL. */
export const SOCKET_PATH_BYTES_MAX = 107;

/** A capture filter as text; people write some 50 characters. */
export const CAPTURE_FILTER_CHARS_MAX = 4096;
/** Parentheses and `not` within one another. */
export const CAPTURE_FILTER_DEPTH_MAX = 32;
export const CAPTURE_FILTER_VALUES_MAX = 256;

/** Packets that a forwarding thread looks at for a capture in one tick of 100 ms: half a microsecond each, 5 % of its time. */
export const CAPTURE_LOOKS_PER_TICK = 10_000;
/** A client that captures and reads nothing for so long loses its connection. */
export const CAPTURE_SILENCE_MS = 60_000;
/** What a client that captures has not read yet; then no more is taken from the ring. */
export const CAPTURE_UNREAD_BYTES_MAX = 1024 * 1024;
/** Of records that a node sends at once to who captures. */
export const CAPTURE_CHUNK_BYTES = 64 * 1024;

/** Defence; src/config/defend/schema.ts says what these mean. */
/** Of a limit: what a count holds in a window (native/include/anyhop/sketch.h), with room for what is added at once. */
export const DEFEND_RATE_MAX = 16_000_000;
export const DEFEND_PER_MS_DEFAULT = 1000;
export const DEFEND_PER_MS_MIN = 100;
export const DEFEND_PER_MS_MAX = 60_000;
/** Entries of `allow` or `block` in the config: more prefixes than that belong into a file. */
export const DEFEND_LIST_SOURCES_MAX = 1024;
export const DEFEND_RELOAD_MS_DEFAULT = 60_000;
export const DEFEND_RELOAD_MS_MIN = 1000;
export const DEFEND_RELOAD_MS_MAX = 86_400_000;
export const DEFEND_SHRINK_MAX_DEFAULT = 0.5;
/** Prefixes of `allow` and `block` together: compiled, they take 70 MiB at most (src/lists/compile.ts). */
export const LISTS_PREFIXES_MAX = 1_048_576;
/** Of one list file: a million of the longest IPv6 prefixes, and as much of comments. */
export const LIST_BYTES_MAX = 96 * 1024 * 1024;
/** Of what is wrong with a list file. */
export const LIST_PROBLEMS_SHOWN = 20;
/** Wrong lines after which nobody reads on: 96 MB of them would take minutes. */
export const LIST_PROBLEMS_MAX = 1000;
/** A last line without an end is believed when nobody has written to the file for so long: it could be cut off. */
export const LIST_UNENDED_MS = 2000;
/** How long one question to the thread that reads and compiles lists may take: a million prefixes take two seconds. */
export const LISTS_ANSWER_MS_MAX = 60_000;
/** How long the first image waits for lists. */
export const LISTS_START_MS_MAX = 15_000;
/** Of the worker that reads and compiles lists; most of its memory is not on the heap. */
export const LISTS_HEAP_MB_MAX = 512;
/** Who writes a list file may write once more: it is read when it has been left alone for so long. */
export const LISTS_SETTLE_MS = 100;
/** Prefixes that are blocked or allowed at runtime. */
export const LISTED_AT_RUNTIME_MAX = 10_000;
/** In one request. */
export const LISTED_AT_ONCE_MAX = 1000;
export const LISTED_WHY_CHARS_MAX = 200;
/** How long a prefix may be listed at runtime, unless until it is taken back. */
export const LISTED_FOR_MS_MIN = 1000;
export const LISTED_FOR_MS_MAX = 365 * 86_400_000;
/** A key of SYN cookies: 16 bytes. */
export const COOKIE_KEY_HEX_DIGITS = 32;
/** Cookies are used above so many times the norm of a service's SYNs, and at least so many a second. */
export const COOKIE_NORM_FACTOR = 4;
export const COOKIE_SYNS_PER_SECOND_MIN = 1000;
/** Of two hosts whose SYN cookies fit: a cookie is good for a time of 16 s before and after its own. */
export const COOKIE_CLOCKS_APART_MS_MAX = 12_000;
/** Attacks that have ended and are still told of. */
export const ATTACKS_KEPT_MAX = 200;
/** A browser opens so many connections to a host at once. */
export const BROWSER_CONNECTIONS = 6;
/** What a client sends in a second while it loads one large page. */
export const BROWSER_PACKETS_PER_SECOND = 200;

/** A request to the control socket; the largest real one has some 200. */
export const CONTROL_BODY_BYTES_MAX = 64 * 1024;
export const CONTROL_CONNECTIONS_MAX = 64;
/** At least so many of these may wait without a request before the oldest makes room; a connection with a request never does. */
export const CONTROL_UNASKED_MIN = 16;
/** Changes from the control socket that run or wait for their turn; these connections are never closed. */
export const CONTROL_CHANGES_MAX = 16;

/** Errors and warnings of HAProxy about one config that are shown. */
export const HAPROXY_PROBLEMS_MAX = 50;
export const HAPROXY_MESSAGE_CHARS_MAX = 400;
/** `haproxy -c`: 40 to 80 ms for a small config; one with thousands of certificates takes seconds. */
export const HAPROXY_CHECK_TIMEOUT_MS = 60_000;
export const HAPROXY_OUTPUT_CHARS_MAX = 1024 * 1024;
/** An answer of HAProxy's master CLI: `show stat` has some 600 bytes a server. */
export const HAPROXY_ANSWER_BYTES_MAX = 64 * 1024 * 1024;
export const HAPROXY_ANSWER_TIMEOUT_MS = 5_000;
/** A command with its payload must be shorter than HAProxy's buffer (tune.bufsize, 16384). */
export const HAPROXY_COMMAND_BYTES_MAX = 16_383;
/** From the start, or from a reload, until the new worker serves: thousands of certificates take seconds, twice. */
export const HAPROXY_READY_TIMEOUT_MS = 120_000;
/** Between restarts of HAProxy: doubled each time, and the first one again after it lived for a minute. */
export const HAPROXY_RESTART_MS_MIN = 200;
export const HAPROXY_RESTART_MS_MAX = 30_000;
export const HAPROXY_LIVED_MS = 60_000;
/** HAProxy counts as alive for so long after an answer. */
export const HAPROXY_ALIVE_MS = 3_000;

/** Planned changes of one pool in its queue; more means a script out of control. */
export const CHANGES_QUEUED_MAX = 64;
/** Planned changes of one pool that may overlap: a slot has as many alternates. */
export const CHANGES_OPEN_MAX = 2;
/** Pool states that are remembered of one pool. */
export const STATES_REMEMBERED_MAX = 8;

/** The layer-7 tier, of one config; src/config/l7/schema.ts says what these mean. */
export const L7_FRONTENDS_MAX = 64;
export const L7_ROUTES_MAX = 10_000;
/** Entries of the map files that the routes of one frontend become: paths by host, and values that conditions ask for. */
export const L7_ROUTE_ENTRIES_MAX = 200_000;
/** Names of headers and cookies in the routes of one frontend: HAProxy evaluates a rule for each. */
export const L7_CONDITION_NAMES_MAX = 64;
export const L7_UPSTREAMS_MAX = 4096;
export const L7_SERVERS_PER_UPSTREAM_MAX = 4096;
/** HAProxy counts weights from 0 to 256. */
export const L7_WEIGHT_MAX = 256;
/** Headers, or cookies, of one mapping. */
export const L7_HEADERS_MAX = 64;
export const L7_HEADER_BYTES_MAX = 1024;
/** Of the name of a header or cookie. */
export const L7_TOKEN_CHARS_MAX = 64;
export const L7_COOKIE_VALUE_CHARS_MAX = 256;
/** Of a host (RFC 1035, section 2.3.4), a path or a URL in a route. */
export const L7_HOST_CHARS_MAX = 253;
export const L7_PATH_CHARS_MAX = 1024;
export const L7_HEALTH_PORT_DEFAULT = 9612;
/** Where a proxy host says whether it can serve. */
export const L7_HEALTH_PATH = '/anyhop-l7';
export const L7_RUN_DIRECTORY_DEFAULT = '/run/anyhop/l7';
/** A Unix socket in the run directory must fit (SOCKET_PATH_BYTES_MAX). */
export const L7_RUN_DIRECTORY_CHARS_MAX = 80;
export const L7_CONNECTIONS_MIN = 100;
export const L7_CONNECTIONS_DEFAULT = 20_000;
export const L7_CONNECTIONS_MAX = 1_000_000;
export const L7_SERVER_CONNECTIONS_DEFAULT = 1000;
export const L7_SERVER_CONNECTIONS_MAX = 65_535;
export const L7_DRAIN_DEADLINE_MS_DEFAULT = 300_000;
export const L7_RETRIES_DEFAULT = 2;
export const L7_RETRIES_MAX = 10;
export const L7_RATE_REQUESTS_MAX = 1_000_000;
export const L7_RATE_PERIOD_MS_MAX = 3_600_000;
export const L7_IDLE_MS_DEFAULT = 60_000;
export const L7_ANSWER_MS_DEFAULT = 60_000;
export const L7_TUNNEL_MS_DEFAULT = 3_600_000;
export const L7_SLOW_START_MS_DEFAULT = 10_000;
/** Ten years. */
export const L7_HSTS_MS_MAX = 10 * 365 * 86_400_000;
/** Of each kind of timeout. */
export const L7_TIMEOUT_MS_MIN = 100;
export const L7_TIMEOUT_MS_MAX = 86_400_000;
export const L7_PASSIVE_ERRORS_MAX = 1000;
/** Certificates of one frontend, and the size of one file: certificate, chain and key. */
export const L7_CERTIFICATES_MAX = 4096;
export const L7_CERTIFICATE_BYTES_MAX = 64 * 1024;
/** A forwarder that a proxy host does not hear any more may still send connections: its process is dead, its program in the kernel is not. */
export const FORWARDER_REMEMBERED_MS = 600_000;
/** Before it expires, a certificate is warned about. */
export const CERTIFICATE_EXPIRES_SOON_MS = 14 * 86_400_000;
/** What HAProxy gives a client for a whole request header, and a server for a connection; what waits in a queue, or closes. */
export const L7_REQUEST_MS = 10_000;
export const L7_CONNECT_MS = 5000;
export const L7_QUEUE_MS = 5000;
export const L7_FIN_MS = 10_000;
/** A client may be silent for so long within a request or an answer. */
export const L7_CLIENT_MS_MIN = 60_000;
/** Within the two hours in which a ticket key decrypts. */
export const L7_TICKET_LIFETIME_MS = 3_600_000;
/** Clients of one frontend whose rate is known; the oldest makes room. */
export const L7_RATE_CLIENTS_MAX = 100_000;
/** Load of a server over the mean, with balance: hash. */
export const L7_HASH_BALANCE_PERCENT = 150;
/** Headers of a request, `Host` among them: HAProxy answers 400 to more (tune.http.maxhdr). */
export const L7_REQUEST_HEADERS_MAX = 100;
/** Of a request that `which` explains; with all its headers it fits HAProxy's buffer (16 KiB less 1 KiB to rewrite it). */
export const L7_WHICH_BYTES_MAX = 12_288;
/** Of the access log, before escaping, which makes six characters of a byte at most. */
export const L7_LOG_FIELD_BYTES_MAX = 256;
export const L7_LOG_PATH_BYTES_MAX = 1024;
export const L7_LOG_LINE_BYTES_MAX = 16_384;
/** A command to HAProxy with its payload fits into one buffer of 16 KiB. */
export const L7_RUNTIME_PAYLOAD_BYTES_MAX = 15_000;
/** Fewer are refused by OpenSSL as Debian configures it (security level 2). */
export const L7_RSA_BITS_MIN = 2048;
/** The subkey of the tier: 32 bytes. */
export const L7_KEY_HEX_DIGITS = 64;

/** Free in Debian's rt_tables, and one that FRR can import (it takes 1 to 252). */
export const ANNOUNCE_TABLE_DEFAULT = 179;
export const ANNOUNCE_METRIC_DEFAULT = 100;
export const ANNOUNCE_DRAIN_METRIC_DEFAULT = 200;
export const ANNOUNCE_ORPHAN_MS_DEFAULT = 600_000;
export const ANNOUNCE_ORPHAN_MS_MAX = 86_400_000;
export const ANNOUNCE_RISE_MS_DEFAULT = 3_000;
export const ANNOUNCE_RISE_MS_MAX = 600_000;
/** Who made a route, in the kernel (rtm_protocol): rows of `anyhop announce` and of nobody else carry it. */
export const ANNOUNCE_PROTOCOL = 179;
/** What feeds a daemon that reads no kernel table looks at the table so often without being told, and so long after it was told. */
export const FEED_READ_MS = 1_000;
export const FEED_SETTLE_MS = 2;
/** ExaBGP's answer is complete when no line has come for so long. */
export const FEED_ANSWER_MS = 500;
/** Commands of gobgp that run at once, and between two looks at the table. */
export const GOBGP_AT_ONCE = 4;
export const GOBGP_ROUND = 64;
/** Where printed commands put the API of gobgpd. */
export const GOBGP_SOCKET_DEFAULT = '/run/gobgp/gobgp.sock';
/** Of the BFD sessions in printed configs of routing daemons, as FRR bounds them. */
export const BFD_INTERVAL_MS_MIN = 10;
export const BFD_INTERVAL_MS_MAX = 60_000;
export const BFD_MULTIPLIER_MAX = 255;
/** keepalived must get to run while its track file says that this node is at fault: of its answer some 5 ms were seen. */
export const TRACK_FAULT_MS = 100;
/** What could not be written to the track file is tried again so often, and what others wrote there is put right. */
export const TRACK_LOOK_MS = 1_000;
/** keepalived adds the number of the track file to the priority, and clips the sum to this. */
export const VRRP_PRIORITY_MAX = 254;
/** Of one advertisement: a frame of 1500 bytes has room for some 90 of IPv6. */
export const VRRP_ADDRESSES_MAX = 20;
/** Rows of ours in one table and one IP version: two metrics of every VIP, and as many that another config left. */
export const ANNOUNCE_ROWS_MAX = 4 * VIPS_MAX;
/** Routes of each family that are searched for who keeps a row out: some 10 ms. */
export const ANNOUNCE_ROUTES_SEARCHED_MAX = 20_000;
/** FRR takes the first byte of a metric in the kernel for its administrative distance. */
export const ZEBRA_METRIC_MAX = 0xffffff;
/** RT_TABLE_MAIN of linux/rtnetlink.h. */
export const ROUTE_TABLE_MAIN = 254;
/** Of the kernel's 32-bit numbers. */
export const ROUTE_METRIC_MAX = 4_294_967_295;
export const ROUTE_TABLE_MAX = 4_294_967_295;
/** The kernel's default, main and local; main has a name in the config. */
export const ROUTE_TABLES_TAKEN: readonly number[] = [253, 254, 255];
/** From a node that follows no stream for so long, nothing is known any more. A line comes every second. */
export const FOLLOW_LINE_MS = 1_000;
export const FOLLOW_SILENCE_MS = 3_000;
/** A line about VIPS_MAX VIPs and BACKENDS_MAX backends has some 8 MiB; one about 1,000 of each 0.3. */
export const FOLLOW_LINE_BYTES_MAX = 16 * 1024 * 1024;
/** Between attempts to reach a node: doubled each time. */
export const FOLLOW_AGAIN_MS_MIN = 50;
export const FOLLOW_AGAIN_MS_MAX = 1_000;
/** How often rows are compared with the kernel's, and the program of an orphan is looked at. */
export const ANNOUNCE_LOOK_MS = 1_000;
/** Without an answer of the kernel about an orphan for so long, nothing is announced. Asking a silent neighbour takes it 3 s. */
export const ORPHAN_FACTS_MS = 5_000;
/** A node that starts has put its program in place, and says so within this time. */
export const PROGRAM_CHANGE_MS = 2_000;
/** Another program may be that of a node that has not been heard yet. With ANNOUNCE_LOOK_MS, an orphan is withdrawn within two seconds. */
export const PROGRAM_STRANGE_MS = 900;
/** From withdrawing to the end of forwarding (`anyhop stop`): routing daemons export within 0.1 s, and routers take it in. */
export const WITHDRAWN_SETTLES_MS = 1_000;
/** Who follows a node at once: `anyhop announce`, and somebody who looks. */
export const FOLLOWERS_MAX = 8;

/** Where the processes answer Prometheus and browsers, on loopback. */
export const NODE_METRICS_PORT_DEFAULT = 9612;
export const AGENT_METRICS_PORT_DEFAULT = 9613;
export const L7_METRICS_PORT_DEFAULT = 9614;
export const ANNOUNCE_METRICS_PORT_DEFAULT = 9615;
export const METRICS_USER_CHARS_MAX = 63;
export const METRICS_PASSWORD_BYTES_MAX = 1024;
/** One sample serves all who ask within this time: faster than anybody scrapes. */
export const WEB_SAMPLE_MS = 1_000;
/** Of the main thread, until a scraper is told that it does not answer; Prometheus waits for 10 s. */
export const WEB_SAMPLE_TIMEOUT_MS = 5_000;
/** Of a listener: connections of strangers, and of those who asked as they should; a page has up to six, a Prometheus one. */
export const WEB_CONNECTIONS_MAX = 64;
export const WEB_CONNECTIONS_PER_PEER_MAX = 24;
/** Browsers send the cookies of everything on localhost. */
export const WEB_HEADER_BYTES_MAX = 16 * 1024;
/** For a handshake, and for a request. */
export const WEB_REQUEST_MS = 5_000;
/** Until an answer is taken; events may last longer. */
export const WEB_ANSWER_MS = 30_000;
/** Longer than most scrapers wait between two scrapes. */
export const WEB_IDLE_MS = 75_000;
/** Before a wrong password is answered. */
export const WEB_REFUSED_PAUSE_MS = 1_000;
/** Of the listener's worker: half a million series fit. */
export const WEB_HEAP_MB_MAX = 512;
export const WEB_CLOSE_MS = 2_000;
/** Between restarts of a listener's worker: doubled each time, and the first one again after it lived for a minute. */
export const WEB_RESTART_MS_MIN = 1_000;
export const WEB_RESTART_MS_MAX = 60_000;
export const WEB_LIVED_MS = 60_000;
/** Other forwarders that a dashboard asks. */
export const SIBLINGS_MAX = 64;

/** Where a node tells DNS hosts of its region whether it is ready: HTTP over mutual TLS. */
export const REGION_PORT_DEFAULT = 9613;
/** In a directory of its own, since the user of gdnsd writes there. */
export const REGION_FILE_DEFAULT = '/var/lib/anyhop-region/states';
/** gdnsd takes so many addresses of a family in one resource. */
export const REGIONS_MAX = 64;
export const REGION_NODES_MAX = 256;
export const REGION_NODE_WEIGHT_MAX = 1000;
/** Host names with addresses, of one region. */
export const REGION_VIPS_MAX = 1024;
/** Prefixes of clients, of one region. */
export const REGION_NETS_MAX = 100_000;
/** Of a node, with all VIPs of a region. */
export const REGION_ANSWER_BYTES_MAX = 128 * 1024;
/** How often a DNS host asks each node. */
export const REGION_ASK_MS = 500;
/** A node is lost after so long without a good answer: with the reload of gdnsd, within two seconds. */
export const REGION_SILENCE_MS = 1_300;
/** For the first answer: a new connection takes three round trips before its question. */
export const REGION_FIRST_MS = 3_000;
/** A node that was lost must answer for so long. */
export const REGION_RISE_MS = 3_000;
/** Between two changes of what the DNS server reads. */
export const REGION_WRITE_PAUSE_MS = 250;
/** Words of the command that makes a DNS server read the file of the regions. */
export const REGION_RELOAD_WORDS_MAX = 16;

/** Names of nodes, pools, services and backends, in (ASCII) characters. */
export const NAME_CHARS_MAX = 63;
/** Linux: IFNAMSIZ without the closing NUL. */
export const INTERFACE_CHARS_MAX = 15;
/** The fleet's secret, in hexadecimal digits: 128 bits at least. */
export const KEY_HEX_DIGITS_MIN = 32;
export const KEY_HEX_DIGITS_MAX = 1024;

/** Events that a process keeps; src/events has them. */
export const EVENTS_KEPT_MS = 86_400_000;
/** In UTF-16 units; what is longer is cut. */
export const EVENT_MESSAGE_CHARS_MAX = 500;
/** In memory, and in one answer: 1 MB at most in real life. */
export const EVENTS_ANSWERED_MAX = 4_000;
/** One of the two files on disk: some 25,000 events. */
export const EVENTS_SEGMENT_BYTES_MAX = 4 * 1024 * 1024;
/** The same in a run directory, which is memory: some 3,000 events. */
export const EVENTS_RUN_SEGMENT_BYTES_MAX = 512 * 1024;
/** Written down at once, as when all of a node's backends go down. */
export const EVENTS_BURST_MAX = 4_000;
/** Written down of a flood that goes on: a segment lasts for some hours of it. */
export const EVENTS_PER_SECOND = 1;
/** Waiting for a disk. */
export const EVENTS_WAITING_BYTES_MAX = 2 * 1024 * 1024;

export const CONFIG_BYTES_MAX = 16 * 1024 * 1024;
/** etcd refuses requests of more than 1.5 MiB; a revision is compressed before. */
export const FLEET_BLOB_BYTES_MAX = 1024 * 1024;
/** Of what the store answers to one question: 10,000 members with what each says of itself. */
export const FLEET_ANSWER_BYTES_MAX = 64 * 1024 * 1024;
export const FLEET_ENDPOINTS_MAX = 16;
/** Secrets that a member says it holds. */
export const FLEET_KEYS_MAX = 64;
/** Of what is said of a revision: who, when, why and what. */
export const FLEET_RECORD_BYTES_MAX = 64 * 1024;
export const FLEET_MESSAGE_CHARS_MAX = 1000;
/** How much later than agents the forwarders of a fleet may have a revision in force, and so count a settle time from. */
export const FORWARDERS_LATE_MS_MAX = 30_000;
/** Revisions that nodes have signed, of which the store keeps so many; and how often one who adds to them removes those beyond. */
export const FLEET_FOUND_REVISIONS_MAX = 100;
export const FLEET_FOUND_PRUNED_EVERY = 10;
/** Forwarders, agents and other processes that a fleet lists. */
export const FLEET_MEMBERS_MAX = 10_000;
/** Backends that a node tells its fleet are down; of more it tells these. */
export const HEALTH_VIEW_DOWN_MAX = 10_000;
/** Of what it tells, before it is compressed: their names, and those of as many pools. */
export const HEALTH_VIEW_BYTES_MAX = 2 * 1024 * 1024;
/** An answer of a source stays the same for so long before it changes anything. */
export const DISCOVER_DEBOUNCE_MS_DEFAULT = 5_000;
export const DISCOVER_DEBOUNCE_MS_MAX = 600_000;
export const DISCOVER_MIN_DEFAULT = 2;
export const DISCOVER_MAX_REMOVE_DEFAULT = 0.3;
/** Of one answer of a source, all files of a directory together. */
export const DISCOVER_BYTES_MAX = 4 * 1024 * 1024;
export const DISCOVER_FILES_MAX = 1_000;
/** Of a token. */
export const DISCOVER_SECRET_BYTES_MAX = 16 * 1024;
/** How often sources are asked that cannot tell by themselves. */
export const DISCOVER_EVERY_MS_MIN = 1_000;
export const DISCOVER_EVERY_MS_MAX = 3_600_000;
export const DISCOVER_HTTP_MS_DEFAULT = 10_000;
export const DISCOVER_KUBERNETES_MS_DEFAULT = 5_000;
export const DISCOVER_TIMEOUT_MS_DEFAULT = 5_000;
export const DISCOVER_TIMEOUT_MS_MIN = 100;
export const DISCOVER_TIMEOUT_MS_MAX = 60_000;
/** Nesting of lists and mappings in the config file; the schema needs 7. */
export const CONFIG_DEPTH_MAX = 16;
/** Values that YAML aliases may add to a config file in total; bounds files that expand without end. */
export const CONFIG_ALIASED_VALUES_MAX = 1_000_000;

/** All ones in a 16-bit index mean "none", and owners are 16-bit indexes local to a pool. */
const INDEX_NONE = 0xffff;
if (BACKENDS_PER_POOL_MAX > INDEX_NONE || BACKENDS_MAX > INDEX_NONE || SERVICES_MAX * 2 > INDEX_NONE) {
  throw new RangeError('limits: an index would not fit 16 bits');
}
// A segment that was just begun must take what waits.
if (EVENTS_WAITING_BYTES_MAX >= EVENTS_SEGMENT_BYTES_MAX)
  throw new RangeError('limits: events that wait for a disk could be too many for a file');
// The quotes and commas of JSON around each name.
if (HEALTH_VIEW_DOWN_MAX * 2 * (NAME_CHARS_MAX + 6) > HEALTH_VIEW_BYTES_MAX)
  throw new RangeError('limits: what a node tells of its backends could be longer than what is read');
// The config checks only the number of services.
if (VIPS_MAX < SERVICES_MAX)
  throw new RangeError('limits: services within their limit could have too many VIPs');
// A new client takes the place of one that neither asks, changes nor follows anything; there must always be such a place.
if (CONTROL_CHANGES_MAX + FOLLOWERS_MAX + CONTROL_UNASKED_MIN >= CONTROL_CONNECTIONS_MAX)
  throw new RangeError(
    'limits: changes that wait and followers could keep all others from the control socket',
  );
// A line may come late, and one be lost to a busy machine.
if (FOLLOW_SILENCE_MS < 2 * FOLLOW_LINE_MS)
  throw new RangeError('limits: a node that tells of itself could count as silent');
// One late answer must not make HAProxy count as dead: it is asked every second (src/l7/haproxy/pulse.ts).
if (HAPROXY_ALIVE_MS < 3_000)
  throw new RangeError('limits: HAProxy would count as dead between two questions');
// gdnsd takes weights below 2^20.
if (REGION_NODES_MAX * REGION_NODE_WEIGHT_MAX >= 2 ** 20)
  throw new RangeError('limits: the weight of a region could be too large for gdnsd');
// The defaults must be valid together.
if (HEALTH_TIMEOUT_MS_DEFAULT > HEALTH_INTERVAL_MS_DEFAULT * (1 - HEALTH_JITTER_DEFAULT))
  throw new RangeError('limits: by default, a health check could outlast its interval');
// A log line that HAProxy cuts is not JSON any more. Of a client: path, host, method, version, SNI.
if (L7_LOG_LINE_BYTES_MAX < 6 * (L7_LOG_PATH_BYTES_MAX + 4 * L7_LOG_FIELD_BYTES_MAX) + 2048)
  throw new RangeError('limits: a line of the access log could be cut');
// Quotas and turns are exact only while their products stay below 2^53 (src/table/turns.ts).
if (
  TABLE_SIZE_MAX * TABLE_SIZE_MAX * 2 > Number.MAX_SAFE_INTEGER ||
  TABLE_SIZE_MAX * WEIGHT_MAX > Number.MAX_SAFE_INTEGER
) {
  throw new RangeError('limits: table arithmetic would not be exact');
}
