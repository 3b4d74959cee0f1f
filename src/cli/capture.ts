/** `anyhop capture`: shows packets as they come in and as they leave, and what became of them. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { compile, verdictsOf } from '../capture/compile.js';
import { FIELDS, parseExpression } from '../capture/expression.js';
import { type CaptureSource, SNAP_MAX, SNAP_MIN } from '../capture/record.js';
import { capture, type Summary } from '../capture/session.js';
import { amount, took } from '../core/figures.js';
import { formatDuration, parseDuration } from '../core/time.js';
import { type CaptureOutput, captureFile, captureLines } from './capture-output.js';
import { findSource, type SourceOptions } from './capture-source.js';
import { socketOption } from './control-client.js';
import { someOf } from './format.js';
import { between } from './number.js';
import { configOption, interfaceOption, isNamed } from './options.js';
import { writeError } from './output.js';
import { bpffsOption } from './place.js';

const COUNT_DEFAULT = 100_000;
const FOR_DEFAULT = '10m';
const FOR_MS_MAX = 24 * 3_600_000;
const SNAP_DEFAULT = 256;
const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface CaptureOptions extends SourceOptions {
  readonly write?: string;
  readonly force?: true;
  readonly json?: true;
  readonly count: number;
  readonly for: number;
  readonly sample: number;
  readonly snaplen: number;
}

export function captureCommand(): Command {
  return new Command('capture')
    .summary('show packets as they come in and leave, and what became of them')
    .description(
      'Shows the packets that a node handles, which tcpdump cannot see behind an XDP program: each as it came in and as it left, with its ' +
        'verdict, service, slot, backend and alternates. Prints a line a packet, or writes a pcapng file for Wireshark and tcpdump.',
    )
    .argument(
      '[filter...]',
      'which packets; all when left out. Quote it: the shell has a use of its own for * and ( )',
    )
    .addOption(socketOption())
    .addOption(new Option('--agent', "the packets of this host's agent instead").conflicts('socket'))
    .addOption(configOption())
    .addOption(interfaceOption())
    .addOption(bpffsOption('node', 'BPF file system where the engine xdp or the agent is pinned'))
    .option('-w, --write <file>', 'write a pcapng file; - for standard output')
    .option('--force', 'with -w: replace a file that is there')
    .addOption(new Option('--json', 'print one JSON object a packet').conflicts('write'))
    .option('--count <packets>', 'end after so many packets', between(1, 1_000_000_000), COUNT_DEFAULT)
    .addOption(
      new Option('--for <duration>', 'end after so long, at most a day: 30s, 5m')
        .argParser(duration)
        .default(duration(FOR_DEFAULT), FOR_DEFAULT),
    )
    .option('--sample <n>', 'look at one packet of so many', between(1, 1_000_000_000), 1)
    .option(
      '--snaplen <bytes>',
      `first bytes of each packet to keep, ${SNAP_MIN} to ${SNAP_MAX}`,
      between(SNAP_MIN, SNAP_MAX),
      SNAP_DEFAULT,
    )
    .addHelpText('after', help())
    .action((words: string[], options: CaptureOptions, command: Command) =>
      run(words.join(' '), options, isNamed(command)),
    );
}

function help(): string {
  const width = Math.max(...Object.keys(FIELDS).map((field) => field.length));
  return `
A filter is made of fields with values, "and", "or", "not" and parentheses. A comma between values means "or".
${Object.entries(FIELDS)
  .map(([field, meaning]) => `  ${field.padEnd(width)}  ${meaning}`)
  .join('\n')}
"tcp", "udp" and "icmp" may stand alone. docs/reference/verdicts.md lists the verdicts.

Where packets come from: the node that runs here records them, or its engine xdp does, whose pins then take root or CAP_BPF, CAP_NET_ADMIN and
CAP_PERFMON. When no node answers, what the engine xdp left in force is captured; --interface names it where there are several. With --agent it is the
agent of a backend: filters look into GRE, and the verdicts are the agent's.

In a file, the two packets of one have the same epb_packetid, and what became of them as their comment; the interfaces are named "in" and
"out". It ends after ${COUNT_DEFAULT} packets or ${FOR_DEFAULT}, unless --count and --for say otherwise, at Ctrl-C, and when nobody reads its output any more. Then it
says on standard error how many packets there were by verdict. Forwarding never waits: what a slow reader misses is counted as lost.
One capture runs at a time on an interface. With --sample, a share of the packets is looked at, before the filter.
Exit codes: 0 captured, 1 no node answers or it captures for somebody else, 2 wrong filter or usage, 3 the machine lacks something.

Examples:
  anyhop capture 'vip 203.0.113.10 and verdict drop_*'
  anyhop capture 'client 198.51.100.0/24 and not port 22' --count 20
  anyhop capture 'service web and backend web-2' --sample 100 -w web-2.pcapng
  anyhop capture tcp -w - | tcpdump -nr -
  ssh edge-1 anyhop capture "'pool web'" -w - | wireshark -k -i -
  anyhop capture --json 'verdict too_big_*' | jq -r .client | sort | uniq -c
  anyhop capture --agent --interface eth0 'verdict drop_*,sent_on'`;
}

async function run(text: string, options: CaptureOptions, isConfigNamed: boolean): Promise<void> {
  const expression = parseExpression(text); // what is wrong without any node is told without one
  const source = await findSource(options, isConfigNamed);
  const end = new AbortController();
  const stop = (): void => end.abort();
  for (const signal of END_SIGNALS) process.on(signal, stop);
  let output: CaptureOutput | undefined;
  try {
    const names = await source.names();
    const compiled = compile(expression, names, source.point);
    for (const warning of compiled.warnings) writeError(`anyhop: ${warning}\n`);
    const { count, for: forMs, sample, snaplen: snapLength } = options;
    output = await openOutput(text, source, options, end.signal);
    const begun = (): void => writeError(`anyhop: capturing: ${source.description}${limits(options)}\n`);
    const session = {
      source,
      compiled,
      again: (newer: typeof names) => compile(expression, newer, source.point),
      names,
      sink: output,
      sample,
      snapLength,
      count,
      forMs,
      signal: end.signal,
      begun,
    };
    const summary = await capture(session);
    await source.close();
    const file = output;
    output = undefined;
    await file.close(summary);
    writeError(`anyhop: ${describe(summary, source)}\n`);
  } finally {
    for (const signal of END_SIGNALS) process.off(signal, stop);
    await source.close();
    await output?.close(undefined);
  }
}

function openOutput(
  filter: string,
  source: CaptureSource,
  { write, force, json, snaplen: snapLength }: CaptureOptions,
  signal: AbortSignal,
): Promise<CaptureOutput> | CaptureOutput {
  if (write === undefined) return captureLines(source.point, json === true, signal);
  const file = { source: source.description, interface: source.interface, snapLength, filter };
  return captureFile(write, force === true, source.point, file, signal);
}

function limits({ count, for: forMs, sample }: CaptureOptions): string {
  const some = sample > 1 ? `, one packet of ${sample}` : '';
  return `${some}; ends after ${amount(count, 'packet')} or ${formatDuration(forMs)}, or at Ctrl-C`;
}

function describe(
  { startNs, endNs, packets, lost, blindMs, verdicts }: Summary,
  { point }: CaptureSource,
): string {
  const known = verdictsOf(point);
  const byVerdict = [...verdicts]
    .sort(([, a], [, b]) => b - a)
    .map(([verdict, count]) => `${known[verdict]?.name ?? verdict} ${count}`);
  const span = took(Number((endNs - startNs) / 1_000_000n));
  const found = `${amount(packets, 'packet')} in ${span}${packets === 0 ? '' : `: ${someOf(byVerdict, 30)}`}`;
  const blind =
    blindMs === 0
      ? ''
      : `; nothing was recorded for ${formatDuration(Math.ceil(blindMs))}, while another program took over or this process stood still`;
  if (lost === 0) return `${found}; ${blindMs === 0 ? 'none lost' : 'none lost else'}${blind}`;
  return `${found}; ${lost} lost, because they came faster than they were read: take a narrower filter, --sample or a smaller --snaplen${blind}`;
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1 || ms > FOR_MS_MAX)
    throw new InvalidArgumentError('Expected a duration such as 30s, 5m or 1h.');
  return ms;
}
