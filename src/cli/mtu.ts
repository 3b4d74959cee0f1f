/** `--mtu`, for commands that assume the path to the backends. */
import { Option } from 'commander';
import { L } from '../core/layout.gen.js';
import { between } from './number.js';

export function mtuOption(): Option {
  return new Option('--mtu <bytes>', 'MTU of the path to the backends')
    .default(1500)
    .argParser(between(L.PATH_MTU_MIN, 65535));
}
