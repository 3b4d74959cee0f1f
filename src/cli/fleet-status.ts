/** `anyhop fleet status`: the revision in force, every member, and what the nodes see of the backends together. */
import { Command } from 'commander';
import type { DiscoveryStatus } from '../api/status.js';
import { EXIT } from '../core/errors.js';
import { listed } from '../core/listed.js';
import { clockTime } from '../core/time.js';
import { type HealthView, seenDown } from '../fleet/agreed.js';
import { healthViewsIn } from '../fleet/health-views.js';
import { FOUND, HEALTH } from '../fleet/places.js';
import { describe } from '../fleet/refused.js';
import { readSources, type SaidOfSources } from '../fleet/said.js';
import { type FleetView, type MemberView, readFleetView } from '../fleet/view.js';
import { inForce } from './fleet-change.js';
import { missingKeys } from './fleet-found.js';
import { fleetJsonOption } from './fleet-options.js';
import { withStore } from './fleet-place.js';
import { columns, labelled } from './format.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeResult } from './output.js';
import { drawDiscovery } from './status-text.js';

const DOWN_SHOWN_MAX = 20;
const NODES_SHOWN_MAX = 5;

export function fleetStatusCommand(): Command {
  return new Command('status')
    .summary('show what is in force, and every member')
    .description(
      'Shows the revision that is in force, one that is being prepared, and every member: its revision, and whether it is ready. ' +
        'With fleet.views: quorum also the backends that nodes see down.',
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
        const views = fleet.views === 'quorum' ? healthViewsIn(await store.read(HEALTH)) : [];
        const config = (await inForce(store, view).catch(() => undefined))?.config;
        const sources = readSources((await store.get(FOUND))?.value);
        const keys = config === undefined ? [] : missingKeys(config, view.members);
        const found = { sources, keys };
        writeResult(options.json, reportOf(fleet.name, view, views, found), () =>
          draw(fleet.name, view, views, found),
        );
        const isWell =
          view.faults.length === 0 && view.members.every((each) => faultOf(each, view) === undefined);
        if (!isWell) process.exitCode = EXIT.failure;
      });
    });
}

/** What is known of the sources. */
interface Found {
  readonly sources: SaidOfSources | undefined;
  /** Lines that the config lacks. */
  readonly keys: readonly string[];
}

function reportOf(fleet: string, view: FleetView, views: readonly HealthView[], { sources }: Found) {
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
    health: { views: views.length, down: seenDown(views) },
    discovery: sources ?? null,
  };
}

function faultOf({ said }: MemberView, { active }: FleetView): string | undefined {
  if (said === undefined) return 'does not answer';
  if (said.refused !== undefined)
    return `does not take revision ${said.refused.number}: ${said.refused.reason}`;
  if (said.active !== (active?.number ?? 0)) return `has revision ${said.active}`;
  return said.ready ? undefined : (said.reason ?? 'not ready');
}

function draw(
  fleet: string,
  view: FleetView,
  views: readonly HealthView[],
  { sources, keys }: Found,
): string {
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
    ...drawKeys(members),
    ...faults,
    '',
    ...(rows.length === 0 ? ['no members'] : columns(['member', 'revision', 'build', 'state'], rows)),
    ...drawDown(views),
    ...drawSources(sources),
    ...(keys.length === 0
      ? []
      : ['', 'these lines in the config let nodes put in force what they find:', ...keys]),
    '',
  ].join('\n');
}

/** Which secret flows are hashed with, and which others all forwarders hold. */
function drawKeys(members: readonly MemberView[]): string[] {
  const telling = members.filter(({ said }) => said?.keys !== undefined);
  const ids = [...new Set(telling.map(({ said }) => said!.keys!.inForce))];
  if (ids.length > 1)
    return ids.map((id) => {
      const those = telling.filter(({ said }) => said!.keys!.inForce === id);
      return `flow hash key ${id}, others elsewhere: ${listed(those, { text: ({ place }) => place })}`;
    });
  const held = telling.map(({ said }) => said!.keys!.held);
  const others = (held[0] ?? []).filter((id) => id !== ids[0] && held.every((each) => each.includes(id)));
  const ready = others.length === 0 ? '' : `; all forwarders hold also ${listed(others)}`;
  return ids.map((id) => `flow hash key ${id}${ready}`);
}

function drawSources(sources: SaidOfSources | undefined): string[] {
  if (sources === undefined || sources.pools.length === 0) return [];
  const lines = drawDiscovery(sources.pools as readonly DiscoveryStatus[], new Date());
  return ['', labelled([['asked by', sources.node], ...lines], '').trimEnd()];
}

function drawDown(views: readonly HealthView[]): string[] {
  const down = seenDown(views);
  if (down.length === 0) return [];
  const rows = down
    .slice(0, DOWN_SHOWN_MAX)
    .map(({ backend, isUp, by }) => [
      backend,
      isUp ? 'up' : 'DOWN',
      `${by.length} of ${views.length}: ${listed(by, { most: NODES_SHOWN_MAX })}`,
    ]);
  const more = down.length - rows.length;
  return [
    '',
    ...columns(['backend', 'health', 'seen down by'], rows),
    ...(more === 0 ? [] : [`and ${more} more`]),
  ];
}
