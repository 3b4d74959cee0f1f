/** `anyhop doctor`: finds what people get wrong on a host of the fleet, and says what mends it. */
import { Command } from 'commander';
import { EXIT } from '../core/errors.js';
import { amount } from '../core/figures.js';
import { printable } from '../core/printable.js';
import { formatDuration } from '../core/time.js';
import type { Check, Level } from '../doctor/check.js';
import { CHECKS } from '../doctor/checks.js';
import { type Diagnosis, diagnose, worstOf } from '../doctor/diagnose.js';
import { thisHost } from '../doctor/host.js';
import { type DoctorPlaceOptions, doctorPlaceOptions, doctorPlaces } from './doctor-places.js';
import { labelled } from './format.js';
import { configOption, isNamed, nodeOptions } from './options.js';
import { writeResult } from './output.js';

interface DoctorOptions extends DoctorPlaceOptions {
  readonly all?: true;
  readonly list?: true;
  readonly json?: true;
}

const EXIT_CODES: Readonly<Record<Level, number>> = {
  error: EXIT.environment,
  warning: EXIT.failure,
  note: EXIT.ok,
};

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .summary('find what is wrong on this host, and the line that mends it')
    .description(
      'Looks at a forwarder, a backend or a proxy host: kernel settings, interfaces, programs, tunnels, routes, path MTUs, agents, keys. ' +
        'For each fault it says what it saw, what that breaks, and the line that mends it. It changes nothing.',
    )
    .addOption(configOption());
  for (const option of [...nodeOptions(), ...doctorPlaceOptions()]) command.addOption(option);
  return command
    .option('--all', 'list the checks that found nothing, too')
    .option('--list', 'list all checks and what they look at; looks at nothing')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
It works with and without a node or an agent. It finds out what this host is by its addresses. On a forwarder it asks the node
and the agents of the backends, and probes the MTU of the way to them by ICMP echo. Run it as root: another user cannot see all of it,
and what it could not look at is listed.

  error    packets are lost
  warning  slow, fragile, or wrong for some clients
  note     good to know

Exit codes, by the worst: 0 nothing worse than a note, 1 a warning, 3 an error; 2 wrong config or usage.

Examples:
  anyhop doctor                               # on any host with /etc/anyhop/anyhop.yaml; a node that runs tells its own file
  anyhop doctor --backend web-2               # on a forwarder: the way to one backend
  anyhop doctor --as router                   # on the Linux router in front of the forwarders
  anyhop doctor --json | jq '.findings[] | select(.level == "error")'
  anyhop doctor --list`,
    )
    .action(async (options: DoctorOptions, command: Command) => {
      process.exitCode = await act(options, isNamed(command));
    });
}

async function act(options: DoctorOptions, isConfigNamed: boolean): Promise<number> {
  if (options.list) {
    writeResult(options.json, listOf(CHECKS), drawList);
    return EXIT.ok;
  }
  const started = performance.now();
  const places = await doctorPlaces(options, thisHost, isConfigNamed);
  const diagnoses: Diagnosis[] = await Promise.all(places.map((place) => diagnose(thisHost, place, CHECKS)));
  const tookMs = Math.round(performance.now() - started);
  writeResult(options.json, reportOf(diagnoses, tookMs), (report) => draw(report, options.all === true));
  const worst = worstOf(diagnoses);
  return worst === undefined ? EXIT.ok : EXIT_CODES[worst];
}

function listOf(checks: readonly Check[]) {
  return { checks: checks.map(({ name, where, looks }) => ({ name, where, looks })) };
}

function drawList({ checks }: ReturnType<typeof listOf>): string {
  return checks.map(({ name, where, looks }) => `${name} (${where.join(', ')})\n  ${looks}\n`).join('');
}

/** What `--json` prints. */
export function reportOf(diagnoses: readonly Diagnosis[], tookMs: number) {
  const of = <T>(pick: (diagnosis: Diagnosis) => readonly T[]): T[] => diagnoses.flatMap(pick);
  return {
    worst: worstOf(diagnoses) ?? 'well',
    tookMs,
    places: diagnoses.map(({ place: { where, name, interface: networkInterface, config } }) => ({
      where,
      name,
      ...(networkInterface !== '' && { interface: networkInterface }),
      config: config.file,
    })),
    findings: of(({ place: { where }, outcomes }) =>
      outcomes.flatMap(({ check, findings }) => findings.map((finding) => ({ where, check, ...finding }))),
    ),
    /** Checks with more of the same. */
    more: of(({ place: { where }, outcomes }) =>
      outcomes.flatMap(({ check, more }) => (more === 0 ? [] : [{ where, check, more }])),
    ),
    unseen: of(({ place: { where }, outcomes }) =>
      outcomes.flatMap(({ check, unseen }) => (unseen === undefined ? [] : [{ where, check, why: unseen }])),
    ),
    well: of(({ place: { where }, outcomes }) =>
      outcomes.flatMap(({ check, findings, unseen }) =>
        findings.length === 0 && unseen === undefined ? [{ where, check }] : [],
      ),
    ),
  };
}

type Report = ReturnType<typeof reportOf>;

function draw(report: Report, all: boolean): string {
  const { places, findings, more, unseen, well, tookMs } = report;
  const text: string[] = [];
  for (const { where, name, interface: on } of places)
    text.push(`${where} ${printable(name)}${on === undefined ? '' : ` on ${printable(on)}`}\n`);
  for (const { level, check, where, saw, breaks, mend } of findings) {
    text.push(`\n${level}: ${check}${places.length > 1 ? ` (${where})` : ''}\n`);
    text.push(
      labelled([
        ['saw', saw],
        ['breaks', breaks],
        ['mend', mend],
      ]),
    );
  }
  for (const { check, more: count } of more) text.push(`\n${amount(count, 'more finding')} of ${check}\n`);
  if (unseen.length > 0) {
    text.push('\nnot looked at\n');
    text.push(labelled(unseen.map(({ check, why }) => [check, why])));
  }
  if (all) {
    const looks = new Map(CHECKS.map((each) => [each.name, each.looks]));
    text.push('\nwell\n', labelled(well.map(({ check }) => [check, looks.get(check) ?? ''])));
  }
  text.push(`\n${summary(report)} in ${formatDuration(tookMs)}\n`);
  return text.join('');
}

function summary({ findings, unseen, well }: Report): string {
  const looked = amount(
    well.length + new Set(findings.map(({ where, check }) => `${where} ${check}`)).size,
    'check',
  );
  const counts = (['error', 'warning', 'note'] as const).flatMap((level) => {
    const count = findings.filter((each) => each.level === level).length;
    return count === 0 ? [] : [amount(count, level)];
  });
  const found =
    counts.length === 0 ? (unseen.length === 0 ? 'all well' : 'nothing found') : counts.join(', ');
  return `${found}: ${looked}`;
}
