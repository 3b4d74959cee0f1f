/** `anyhop plan`: what a change of the config would do to the flows that are alive, asked of a node or of two files. */
import { Command } from 'commander';
import type { PlanReport } from '../api/api.js';
import { AnyhopError } from '../core/errors.js';
import { findSocket, socketOption, tell } from './control-client.js';
import { planFiles } from './file-plan.js';
import { loadFor } from './options.js';
import { writeOut } from './output.js';
import { drawFilePlan, drawNodePlan } from './plan-text.js';

interface PlanOptions {
  readonly socket?: string;
  readonly json?: true;
}

export function planCommand(): Command {
  return new Command('plan')
    .summary('say what a change of the config would do to flows, before it is made')
    .description(
      'Says pool by pool which slots a change moves, which flows break, and how even the tables are. Without files a running ' +
        'node is asked what "anyhop reload" would do now: it compares its config file with what is in force.',
    )
    .argument('[old]', 'the config that runs now')
    .argument('[new]', 'the config that would take its place')
    .addOption(socketOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Slots move unavoidably when their backend leaves, drains or changes weight, or when a new backend takes its share; other
moves are collateral. Flows are counted as spread evenly, with the health marks of the node; of two files, with all backends up.
Second chance keeps TCP flows of services that have it on, where both backends run an agent, for settle_time: what breaks of those
that live on for longer is said beside it. UDP has none.
A node also says what would wait until when, and what --force would break instead. Of two files, an OLD with "prior:" has
not settled from its own change: flows born before and after that one are told apart.
The fleet's key is not compared: a new key moves every flow.
Exit codes: 0 told, 1 no node answers, or the file takes a restart, 2 a config that is wrong, or wrong usage.

Examples:
  anyhop plan && anyhop reload
  anyhop plan /etc/anyhop/anyhop.yaml next.yaml
  anyhop plan old.yaml new.yaml --json`,
    )
    .action(async (oldFile: string | undefined, newFile: string | undefined, options: PlanOptions) => {
      writeOut(oldFile === undefined ? await askNode(options) : compareFiles(oldFile, newFile, options));
    });
}

async function askNode({ socket, json }: PlanOptions): Promise<string> {
  const report = (await tell(socket ?? (await findSocket()), '/plan', {})) as PlanReport;
  return json ? `${JSON.stringify(report)}\n` : drawNodePlan(report);
}

function compareFiles(oldFile: string, newFile: string | undefined, { socket, json }: PlanOptions): string {
  if (newFile === undefined || socket !== undefined) {
    throw new AnyhopError(
      'ERR_USAGE',
      'two files are compared with each other, and no node is asked for that',
      {
        hint: 'Name OLD and NEW without --socket, or no file: a node compares its own file with what is in force.',
      },
    );
  }
  const report = planFiles(loadFor('pools', { config: oldFile }), loadFor('pools', { config: newFile }));
  return json ? `${JSON.stringify(report)}\n` : drawFilePlan(report);
}
