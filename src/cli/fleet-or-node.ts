/** Whether a command changes the whole fleet or one node, and the options that say so. What speaks with the store is loaded when it is needed. */
import { Option } from 'commander';
import type { BackendEdit } from '../config/edit/wanted.js';
import type { FleetBackendOptions } from './fleet-backend.js';
import { fleetChangeOptions } from './fleet-options.js';

export interface WhereOptions extends Omit<FleetBackendOptions, 'force'> {
  readonly fleet?: true;
  readonly local?: true;
  readonly socket?: string;
}

export function whereOptions(): Option[] {
  return [
    new Option(
      '--local',
      'change the node that runs here, also where the config file has the section fleet; --socket does so too',
    ).conflicts('fleet'),
    new Option(
      '--fleet',
      'change every node and agent of the fleet; the default where the config file has the section fleet',
    ).conflicts('socket'),
    ...fleetChangeOptions().map((option) => option.helpGroup('In a fleet:')),
  ];
}

export async function isForFleet({ fleet, local, socket, config }: WhereOptions): Promise<boolean> {
  if (fleet || local || socket !== undefined) return fleet === true;
  return (await import('./fleet-file.js')).isInFleet(config);
}

/** As `changeBackendInFleet` does. */
export async function changeInFleet(
  edit: BackendEdit,
  words: string,
  options: FleetBackendOptions,
): Promise<void> {
  const { changeBackendInFleet } = await import('./fleet-backend.js');
  const within = edit.pool === undefined || edit.kind === 'add' ? '' : ` in the pool ${edit.pool}`;
  await changeBackendInFleet(edit, `${words}${within}`, options);
}
