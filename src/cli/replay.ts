/** `anyhop replay`: runs the packets of a capture through the pipeline. */
import { type Stats, statSync } from 'node:fs';
import { Command, Option } from 'commander';
import { readInForce } from '../api/in-force.js';
import { AnyhopError } from '../core/errors.js';
import { VERDICTS } from '../core/layout.gen.js';
import { ReplayEngine } from '../engine/replay.js';
import { type Assembly, assemble, fixedPath, servedOf } from '../node/assemble.js';
import { assembleInForce } from '../node/in-force.js';
import { type CapturedPacket, CaptureWriter, readCapture } from '../packet/capture.js';
import { KNOWN_LINKS } from '../packet/link-type.js';
import { askDecider, type DeciderOptions, deciderOptions, note, type State } from './decider.js';
import { someOf } from './format.js';
import { compiledListsOf } from './list-files.js';
import { mtuOption } from './mtu.js';
import { type ConfigOptions, configOption, loadFor, type NodeOptions, nodeOptions } from './options.js';
import { writeError, writeOut } from './output.js';

interface ReplayOptions extends ConfigOptions, NodeOptions, DeciderOptions {
  readonly mtu: number;
  readonly verdicts?: boolean;
}

export function replayCommand(): Command {
  const command = new Command('replay')
    .summary('run the packets of a capture through the forwarding pipeline')
    .description(
      'Reads a pcap or pcapng file, writes the packets that the node would send to a pcap file, and prints the number of packets ' +
        'in each verdict as one JSON object. It also reads captures of "any" (Linux cooked) and of tunnels (raw IP); packets of ' +
        'other link types are skipped and counted. If a node runs with the config file, its state in force decides: health marks, ' +
        'drains, weights, path MTUs; only the key then comes from the file. Otherwise every backend is up. "state" in the JSON ' +
        'says which. MAC addresses are made up (02:01: and the last four bytes of the backend).',
    )
    .argument('<in>', 'pcap or pcapng file to read; - for standard input')
    .argument('<out>', 'pcap file to write; - for standard output (the counts then go to standard error)')
    .addOption(configOption())
    .addOption(mtuOption())
    .addOption(
      new Option(
        '--verdicts',
        'also print a line for each packet: its number, from 1 as in Wireshark, and its verdict',
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  anyhop replay -c anyhop.yaml in.pcap out.pcap
  anyhop replay -c anyhop.yaml --no-socket in.pcap out.pcap
  tcpdump -i eth0 -c 1000 -w - | anyhop replay -c anyhop.yaml - /dev/null
  anyhop replay -c anyhop.yaml --verdicts in.pcapng out.pcap | grep drop_`,
    )
    .action(async (input: string, output: string, options: ReplayOptions) => {
      const isMtuGiven = command.getOptionValueSource('mtu') !== 'default';
      const { state, assembly, lists } = await decider(options, isMtuGiven ? options.mtu : undefined);
      const { image, numbers } = assembly;
      const print = (text: string): void => {
        (output === '-' ? writeError : writeOut)(`${text}\n`);
      };
      requireOtherFile(input, output);
      // Open the input first: if it cannot be read, the output must not be emptied.
      const skipped = new Map<number, number>();
      const packets = readCapture(input, (link) => void skipped.set(link, (skipped.get(link) ?? 0) + 1));
      const first = packets.next();
      const sink = new CaptureWriter(output);
      const cut = { packets: 0 };
      const engine = new ReplayEngine(
        countCut(first, packets, cut),
        sink,
        options.verdicts ? (verdict, number) => print(`${number} ${VERDICTS[verdict].name}`) : undefined,
      );
      const interrupt = (): void => void engine.stop();
      process.once('SIGINT', interrupt);
      try {
        await engine.start(image, lists);
        await engine.finished;
      } finally {
        process.off('SIGINT', interrupt);
        sink.close();
        // Also for a damaged capture: the packets before the damage count.
        if (cut.packets > 0) {
          writeError(
            `anyhop: ${cut.packets} packets were cut short by the capture (snap length) and end in a drop for that reason; capture whole packets\n`,
          );
        }
        if (skipped.size > 0) writeError(`anyhop: ${describeSkipped(skipped)}\n`);
        const { received, sent } = await engine.engineCounters();
        const counters = engine.counters();
        print(
          JSON.stringify({
            state,
            read: received,
            skipped: sum(skipped.values()),
            sent,
            verdicts: counters.verdictsByName(),
            services: counters.entriesByName('services', numbers.services.names()),
            backends: counters.entriesByName('backends', numbers.backends.names()),
          }),
        );
      }
    });
  for (const option of [...deciderOptions(), ...nodeOptions()]) command.addOption(option);
  return command;
}

/** @param mtu of the paths to the backends, if given; a node knows its own */
async function decider(
  options: ReplayOptions,
  mtu: number | undefined,
): Promise<{ readonly state: State; readonly assembly: Assembly; readonly lists?: Uint8Array | undefined }> {
  // For a running node, only the secret comes from the file.
  const secret = loadFor('flow', options);
  const { file } = secret;
  const told = await askDecider('/in-force', readInForce, options, secret.node.socket);
  if (told !== undefined) {
    const { socket, value } = told;
    const { node, at, generation, configFile } = value;
    const assembly = assembleInForce(value, secret.node, { from: socket, file, mtu });
    return { state: { from: 'node', node, at, generation, configFile }, assembly };
  }
  const config = loadFor('node', options);
  const path = fixedPath(mtu ?? options.mtu);
  return {
    state: { from: 'file', file },
    assembly: assemble(servedOf(config), config.node, { generation: 1, path }),
    lists: compiledListsOf(config.defend, note),
  };
}

/** Opening the output empties it, and a mistyped name must not destroy the capture of an incident. */
function requireOtherFile(input: string, output: string): void {
  if (input === '-' || output === '-') return;
  const [from, to] = [input, output].map(statOf);
  if (!from?.isFile() || from.dev !== to?.dev || from.ino !== to.ino) return;
  throw new AnyhopError('ERR_USAGE', `${output} is both input and output`, {
    hint: 'Name another file for the output: writing would overwrite the input.',
  });
}

/** Undefined when it cannot be read; opening it gives the reason. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** @param skipped packets by link type */
function describeSkipped(skipped: ReadonlyMap<number, number>): string {
  const each = [...skipped].map(([link, count]) => `${count} of link type ${link}`);
  return `packets of interfaces that are no IP links were skipped: ${someOf(each)}; known are ${KNOWN_LINKS}`;
}

function sum(counts: Iterable<number>): number {
  return [...counts].reduce((total, count) => total + count, 0);
}

/** Yields the packets, and counts those that the capture cut short. */
function* countCut(
  first: IteratorResult<CapturedPacket>,
  rest: Iterator<CapturedPacket>,
  cut: { packets: number },
): Generator<CapturedPacket, void, undefined> {
  for (let next = first; !next.done; next = rest.next()) {
    if (next.value.truncated) cut.packets++;
    yield next.value;
  }
}
