/**
 * Which verdicts of the agent's program the packets of a probe end in: by a capture in the program (native/bpf/capture.h), which records
 * nothing but what is from the forwarder's address to the VIP's port. Probes of one such pair share it. Where something else is captured on
 * the interface, `anyhop capture` for one, probes have to do without.
 */
import { PacketFields } from '../capture/fields.js';
import { FilterMatch } from '../capture/filter-match.js';
import { type CaptureFilter, type CaptureRecord, type CaptureSource, UNKNOWN } from '../capture/record.js';
import { AnyhopError } from '../core/errors.js';
import { AGENT_VERDICTS } from '../core/layout.gen.js';
import { PROBE_SEEN_MAX } from '../core/limits.js';
import { P } from '../packet/constants.js';
import { type Capturable, PinnedCapture } from '../pins/capture.js';
import { kindOfFlags, type ProbeFate, type ProbeQuestion } from './probe.js';

/** Ethernet with tags, IPv6, GRE with a key, IPv6, TCP. */
const SNAP_BYTES = 160;
/** Of all probes that share a capture. */
const RECORDS_MAX = 1024;

interface Shared {
  readonly key: string;
  readonly source: CaptureSource;
  readonly records: CaptureRecord[];
  users: number;
}

/** Of one probe. */
export interface ProbeRecords {
  /** What became of its packets so far, the oldest first. */
  fate(): Promise<ProbeFate[]>;
  end(): Promise<void>;
}

export class ProbeCapture {
  readonly #interface: string;
  readonly #find: () => Capturable;
  #shared: Shared | undefined;

  /** @param find the program in force, with its maps, which are closed here */
  constructor(name: string, find: () => Capturable) {
    this.#interface = name;
    this.#find = find;
  }

  /** @returns undefined when something else is captured, or the program cannot be */
  async begin(question: ProbeQuestion): Promise<ProbeRecords | undefined> {
    const { client, vip, protocol } = question;
    const key = `${protocol} ${client.address.text} ${vip.address.text} ${vip.port}`;
    if (this.#shared !== undefined && this.#shared.key !== key) return undefined;
    const shared = this.#shared ?? { key, source: this.#source(), records: [], users: 0 };
    shared.users++;
    if (shared.users === 1) {
      this.#shared = shared;
      try {
        await shared.source.arm(filterOf(question));
      } catch (error) {
        await this.#leave(shared);
        if (!(error instanceof AnyhopError)) throw error;
        return undefined;
      }
    }
    const match = new FilterMatch({ ...filterOf(question), clientPort: client.port });
    return {
      fate: async () => {
        await take(shared);
        return shared.records.flatMap((record) => fateOf(record, match) ?? []).slice(0, PROBE_SEEN_MAX);
      },
      end: () => this.#leave(shared),
    };
  }

  async #leave(shared: Shared): Promise<void> {
    shared.users--;
    if (shared.users > 0) return;
    if (this.#shared === shared) this.#shared = undefined;
    await shared.source.close();
  }

  #source(): CaptureSource {
    return new PinnedCapture({
      point: 'agent',
      interface: this.#interface,
      description: 'probes of forwarders',
      names: async () => ({ generation: 0, services: [], backends: [] }),
      find: this.#find,
    });
  }
}

async function take({ source, records }: Shared): Promise<void> {
  for (;;) {
    const some = await source.read(0);
    if (some === undefined || some.length === 0 || records.length > RECORDS_MAX) return;
    records.push(...some);
  }
}

function filterOf({ client, vip, protocol }: ProbeQuestion): CaptureFilter {
  return {
    vip: vip.address,
    client: { address: client.address, bits: client.address.bytes.length * 8 },
    servicePort: vip.port,
    protocol: protocol === 'tcp' ? P.PROTOCOL_TCP : P.PROTOCOL_UDP,
    sample: 1,
    snapLength: SNAP_BYTES,
  };
}

function fateOf({ inBytes, verdict }: CaptureRecord, match: FilterMatch): ProbeFate | undefined {
  const fields = new PacketFields().read(inBytes, 0, inBytes.length, 'agent');
  if (!match.wants(fields, UNKNOWN)) return undefined;
  const kind = fields.protocol === P.PROTOCOL_UDP ? 'datagram' : kindOfFlags(fields.tcpFlags);
  return { kind, verdict: AGENT_VERDICTS[verdict]?.name ?? 'unknown' };
}
