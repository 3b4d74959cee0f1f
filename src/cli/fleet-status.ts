/** `anyhop fleet status`: the revision in force, and every member: which revision, ready or not, and why. */
import { Command } from 'commander';
import { EXIT } from '../core/errors.js';
import { clockTime } from '../core/time.js';
import { describe } from '../fleet/apply.js';
import { type FleetView, type MemberView, readFleetView } from '../fleet/view.js';
import { fleetJsonOption, withStore } from './fleet-place.js';
import { columns } from './format.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeResult } from './output.js';

export function fleetStatusCommand(): Command {
  return new Command('status')
    .summary('show what is in force, and every member')
    .description(
      'Shows the revision that is in force, one that is being prepared, and every member: its revision, and whether it is ready.',
    )
    .addOption(configOption())
    .addOption(fleetJsonOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 every member is ready by the revision in force, 1 one is not, or the store does not answer, 2 wrong config.

Examples:
  anyhop fleet status
  anyhop fleet status --json | jq '.members[] | select(.ready | not)'`,
    )
    .action(async (options: ConfigOptions & { readonly json?: true }) => {
      await withStore(options, async (store, fleet) => {
        const view = await readFleetView(store, fleet);
        writeResult(options.json, reportOf(fleet.name, view), () => draw(fleet.name, view));
        const isWell =
          view.faults.length === 0 && view.members.every((each) => faultOf(each, view) === undefined);
        if (!isWell) process.exitCode = EXIT.failure;
      });
    });
}

function reportOf(fleet: string, view: FleetView) {
  const { active, intent, faults, members } = view;
  return {
    fleet,
    active: active ?? null,
    intent: intent ?? null,
    faults,
    members: members.map((each) => ({
      role: each.role,
      name: each.name,
      answers: each.said !== undefined,
      ...each.said,
      fault: faultOf(each, view) ?? null,
    })),
  };
}

function faultOf({ said }: MemberView, { active }: FleetView): string | undefined {
  if (said === undefined) return 'does not answer';
  if (said.refused !== undefined)
    return `does not take revision ${said.refused.number}: ${said.refused.reason}`;
  if (said.active !== (active?.number ?? 0)) return `has revision ${said.active}`;
  return said.ready ? undefined : (said.reason ?? 'not ready');
}

function draw(fleet: string, view: FleetView): string {
  const { active, intent, faults, members } = view;
  const head =
    active === undefined
      ? `fleet ${fleet}: no revision is in force yet`
      : `fleet ${fleet}: ${describe(active)}, since ${clockTime(active.at)}`;
  const rows = members.map((each) => [
    each.place,
    each.said === undefined ? '-' : String(each.said.active),
    each.said?.build ?? '-',
    faultOf(each, view) ?? 'ready',
  ]);
  return [
    head,
    ...(intent === undefined ? [] : [`being prepared: ${describe(intent)}`]),
    ...faults,
    '',
    ...(rows.length === 0 ? ['no members'] : columns(['member', 'revision', 'build', 'state'], rows)),
    '',
  ].join('\n');
}
