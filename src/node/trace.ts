/**
 * What the node says for `anyhop trace`: the decision on a flow, and the frame that the engine in force itself makes of its packet
 * (Engine.tryFrame), so that what is traced is what the program in the kernel does and not what this process believes.
 */
import type { Explanation } from '../api/api.js';
import type { BackendStatus, NodeStatus } from '../api/status.js';
import type { TracedBackend, TraceQuestion, TraceReport } from '../api/trace.js';
import type { LoadedConfig, ServiceConfig } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import { AGENT_REPORT_PORT_DEFAULT, TRACE_PORTS_MAX } from '../core/limits.js';
import { SerialQueue } from '../core/serial-queue.js';
import { Pipeline } from '../forward/pipeline.js';
import { frameOfFlow } from '../forward/try-frame.js';
import { type Endpoint, formatEndpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import type { Forwarded } from './action-parts.js';
import type { Assembly } from './assemble.js';
import { explain } from './explain.js';

/** An engine takes one frame at a time. */
const tries = new SerialQueue();

export async function traceReport(
  { engine, forwarding, status }: Forwarded,
  { node, agent, services }: Pick<LoadedConfig<'run'>, 'node' | 'agent' | 'services'>,
  { protocol, source: asked, destination, backend }: TraceQuestion,
): Promise<Omit<TraceReport, 'node' | 'at' | 'generation' | 'configFile'>> {
  const { pools, interface: name } = await recent(forwarding, status);
  const { assembly } = forwarding; // after the wait
  const source = (backend !== undefined && flowOf(assembly, protocol, asked, destination, backend)) || asked;
  const frame = await tries.add(() =>
    engine.tryFrame(frameOfFlow(assembly.image, protocol, source, destination)),
  );
  const service = serviceOf(services, protocol, destination);
  const answer = explain(assembly, protocol, source, destination, engine.defence.lists);
  const members = pools.find((pool) => pool.name === service?.pool)?.backends ?? [];
  return {
    engine: engine.name,
    interface: name,
    source: formatEndpoint(source),
    destination: formatEndpoint(destination),
    answer,
    ...(frame && { frame: Buffer.from(frame).toString('hex') }),
    pid: process.pid,
    ...(node.source4 && { source4: node.source4.text }),
    ...(node.source6 && { source6: node.source6.text }),
    agentPort: agent?.reportPort ?? AGENT_REPORT_PORT_DEFAULT,
    backends: needed(members, backend, answer).map(
      ({ name, address, id, hasAgent, state, health, healthReason, reachable, agent, nextHop, slots }) =>
        ({
          name,
          address,
          id,
          hasAgent,
          state,
          health,
          reachable,
          nextHop,
          slots,
          ...(healthReason !== undefined && { healthReason }),
          ...(agent && { agent }),
        }) satisfies TracedBackend,
    ),
  };
}

/** A trace of all backends asks for each: making the status of a thousand takes milliseconds of the node's thread. */
const RECENT_MS = 1_000;
const statuses = new WeakMap<Assembly, { readonly at: number; readonly status: Promise<NodeStatus> }>();

/** A status of the image in force, and of next hops with it. */
function recent({ assembly }: Forwarded['forwarding'], make: () => Promise<NodeStatus>): Promise<NodeStatus> {
  const now = performance.now();
  const last = statuses.get(assembly);
  if (last !== undefined && now - last.at < RECENT_MS) return last.status;
  const status = make();
  statuses.set(assembly, { at: now, status });
  status.catch(() => statuses.delete(assembly));
  return status;
}

/** Who a question about one backend is about; all without one, or with one that there is not. */
function needed(
  members: readonly BackendStatus[],
  backend: string | undefined,
  { key }: Explanation,
): readonly BackendStatus[] {
  if (!members.some(({ name }) => name === backend)) return members;
  return members.filter(({ name }) => name === backend || key?.backends.includes(name));
}

/**
 * A source of this address whose packet goes to a backend; undefined when none of the ports that are tried leads there. A try takes
 * some 2 us of the node's thread.
 */
function flowOf(
  assembly: Assembly,
  protocol: 'tcp' | 'udp',
  { address, port: first }: Endpoint,
  destination: Endpoint,
  backend: string,
): Endpoint | undefined {
  const pipeline = new Pipeline(assembly.image);
  const memory = new Uint8Array(L.HEADROOM + 256);
  const view = new DataView(memory.buffer);
  const owners = ownersOf(assembly, protocol, destination, backend);
  if (owners === undefined) return undefined;
  const frame = frameOfFlow(assembly.image, protocol, { address, port: first }, destination);
  const transport = P.ETHERNET_HEADER + (address.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER);
  for (let port = first; port < first + TRACE_PORTS_MAX && port <= 0xffff; port++) {
    memory.set(frame, L.HEADROOM); // a packet that is forwarded was overwritten
    view.setUint16(L.HEADROOM + transport, port); // its checksum is zero, which nobody checks
    pipeline.slot = -1;
    pipeline.process(view, L.HEADROOM, frame.length);
    if (pipeline.slot >= 0 && owners.tables[pipeline.slot] === owners.index) return { address, port };
  }
  return undefined;
}

/** @returns the owners of the pool's slots, and the backend's index among them; undefined when the pool does not have it */
function ownersOf(
  { services, pools }: Assembly,
  protocol: 'tcp' | 'udp',
  destination: Endpoint,
  backend: string,
): { readonly tables: ArrayLike<number>; readonly index: number } | undefined {
  const service = serviceOf(services, protocol, destination);
  const pool = pools.find(({ name }) => name === service?.pool);
  const index = pool?.tables.names.indexOf(backend) ?? -1;
  return index < 0 ? undefined : { tables: pool!.tables.owners, index };
}

function serviceOf(
  services: readonly ServiceConfig[],
  protocol: 'tcp' | 'udp',
  { address, port }: Endpoint,
): ServiceConfig | undefined {
  return services.find(
    (each) =>
      each.vip.text === address.text &&
      each.protocol === protocol &&
      each.portFirst <= port &&
      port <= each.portLast,
  );
}
