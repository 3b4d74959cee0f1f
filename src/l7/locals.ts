/** Which backends of the config in force this host is: their addresses that it has now. Addresses may come and go; a config may be large. */
import { backendAddresses } from '../agent/fleet.js';
import { type System, thisSystem } from '../agent/system.js';
import type { LoadedConfig } from '../config/types.js';
import type { IpAddress } from '../packet/address.js';

export class Locals {
  readonly #config: () => LoadedConfig<'l7'>;
  readonly #system: Pick<System, 'addresses'>;
  #of: LoadedConfig<'l7'> | undefined;
  #backends: ReadonlyMap<string, IpAddress> = new Map();

  constructor(config: () => LoadedConfig<'l7'>, system: Pick<System, 'addresses'> = thisSystem) {
    this.#config = config;
    this.#system = system;
  }

  /** In the order of the host's interfaces. @throws AnyhopError ERR_ADDRESS when the kernel cannot be asked */
  now(): IpAddress[] {
    const config = this.#config();
    if (config !== this.#of) {
      this.#of = config;
      this.#backends = new Map(backendAddresses(config).map((address) => [address.text, address]));
    }
    return this.#system.addresses().flatMap(({ text }) => this.#backends.get(text) ?? []);
  }
}
