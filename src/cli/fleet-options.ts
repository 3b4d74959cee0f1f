/** Options of the commands of a fleet. Nothing here loads what speaks with the store. */
import { Option } from 'commander';
import { CONFIG_FILE_DEFAULT, FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';

export const OPERATOR_KEY_DEFAULT = '/etc/anyhop/operator.key';

export interface KeyOptions {
  readonly key: string;
}

export function keyOption(): Option {
  return new Option('-k, --key <file>', "the operator's private key")
    .env('ANYHOP_OPERATOR_KEY')
    .default(OPERATOR_KEY_DEFAULT);
}

export function fleetJsonOption(): Option {
  return new Option('--json', 'print one JSON object');
}

/** Of commands that change a fleet. */
export function fleetChangeOptions(): Option[] {
  return [
    new Option(
      '-m, --message <text>',
      `why, for the log of the fleet; ${FLEET_MESSAGE_CHARS_MAX} characters at most`,
    ),
    new Option(
      '--without <member>',
      'leave a member out, forwarder/NAME or agent/NAME: it is not ready then; once for each',
    ).argParser((value: string, before: readonly string[] = []) => [...before, value]),
    keyOption(),
    new Option('-c, --config <file>', 'config file with the section fleet, which names the store')
      .env('ANYHOP_CONFIG')
      .default(CONFIG_FILE_DEFAULT),
  ];
}
