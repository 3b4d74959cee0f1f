/** `--mtu`, for commands that assume the path to the backends. */
import { InvalidArgumentError, Option } from 'commander';
import { L } from '../core/layout.gen.js';

export function mtuOption(): Option {
  return new Option('--mtu <bytes>', 'MTU of the path to the backends').default(1500).argParser((text) => {
    const mtu = Number(text);
    if (!/^\d{1,5}$/.test(text) || mtu < L.PATH_MTU_MIN || mtu > 65535) {
      throw new InvalidArgumentError(`Expected a whole number from ${L.PATH_MTU_MIN} to 65535.`);
    }
    return mtu;
  });
}
