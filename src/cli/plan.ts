/** `anyhop plan`: shows what a change of the config would do to live flows, for a node or for two files. */
import { Command } from 'commander';
import type { PlanReport } from '../api/api.js';
import { AnyhopError } from '../core/errors.js';
import { findSocket, socketOption, tell } from './control-client.js';
import { planFiles } from './file-plan.js';
import { loadFor } from './options.js';
import { writeResult } from './output.js';
import { drawFilePlan, drawNodePlan } from './plan-text.js';

interface PlanOptions {
  readonly socket?: string;
  readonly json?: true;
}

export function planCommand(): Command {
  return new Command('plan')
    .summary('show what a change of the config would do to flows')
    .description(
      'Shows, pool by pool, which slots a change moves, which flows break, and how even the tables are. Without files, it asks a ' +
        'running node what "anyhop reload" would do now. The node compares its config file with what is in force.',
    )
    .argument('[old]', 'the config in force')
    .argument('[new]', 'the config that would replace it')
    .addOption(socketOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
A move is unavoidable when a slot's backend leaves, drains or changes weight, or when a new backend takes its share. Other
moves are collateral. Flows count as evenly spread over the slots. A node uses its health marks; for two files, all backends are up.
Second chance keeps TCP flows for settle_time if the service has it on and both backends run an agent. "TCP, long" is the share that
breaks among flows that live longer. UDP has no second chance.
A node also prints which changes would wait and until when, and what --force would break. It counts flows apart that were born in different
remembered states. For two files, "prior:" in OLD is such a state.
Two files are compared without their keys. A new key moves every flow.
Exit codes: 0 shown, 1 no node answers, or the file needs a restart, 2 wrong config or wrong usage.

Examples:
  anyhop plan && anyhop reload
  anyhop plan /etc/anyhop/anyhop.yaml next.yaml
  anyhop plan old.yaml new.yaml --json`,
    )
    .action(async (oldFile: string | undefined, newFile: string | undefined, options: PlanOptions) => {
      if (oldFile === undefined) await askNode(options);
      else compareFiles(oldFile, newFile, options);
    });
}

async function askNode({ socket, json }: PlanOptions): Promise<void> {
  const report = (await tell(socket ?? (await findSocket()), '/plan', {})) as PlanReport;
  writeResult(json, report, drawNodePlan);
}

function compareFiles(oldFile: string, newFile: string | undefined, { socket, json }: PlanOptions): void {
  if (newFile === undefined || socket !== undefined) {
    throw new AnyhopError('ERR_USAGE', '--socket and files exclude each other', {
      hint: 'Give OLD and NEW without --socket, or --socket without files: a node compares its own file with what is in force.',
    });
  }
  const report = planFiles(loadFor('pools', { config: oldFile }), loadFor('pools', { config: newFile }));
  writeResult(json, report, drawFilePlan);
}
