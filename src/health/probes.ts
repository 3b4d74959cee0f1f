/** From a target to what tries it. */
import type { MakeProbe } from './check-runner.js';
import type { HealthTarget } from './health-checks.js';
import { HttpProbe } from './http-probe.js';
import { TcpProbe } from './tcp-probe.js';
import { Tunnel, type TunnelOptions } from './tunnel.js';
import { TunnelProbe } from './tunnel-probe.js';
import { UdpProbe } from './udp-probe.js';

export class Probes {
  readonly #options: TunnelOptions;
  #tunnel: Tunnel | undefined;
  #isClosed = false;

  constructor(options: TunnelOptions) {
    this.#options = options;
  }

  /**
   * Loads what these targets need; nothing once closed.
   * @throws AnyhopError when this host cannot check them; nothing is changed then
   */
  async prepare(targets: readonly HealthTarget[]): Promise<void> {
    const checks = targets.flatMap((target) => target.checks.map((check) => ({ ...target, check })));
    for (const { address, check } of checks) {
      if (check.kind !== 'tunnel') continue;
      this.#tunnel ??= await Tunnel.open(this.#options);
      if (this.#isClosed) return; // meanwhile: sockets that are opened now would keep the process alive
      for (const { vip } of check.endpoints) this.#tunnel.prepare(address, vip);
    }
  }

  /** For targets that were prepared. */
  readonly make: MakeProbe = ({ address, check }, done) => {
    switch (check.kind) {
      case 'tcp':
        return new TcpProbe(address.text, check.port, done);
      case 'http':
      case 'https':
        return new HttpProbe(address.text, check, done);
      case 'udp':
        return new UdpProbe(address, check, done);
      case 'tunnel':
        return new TunnelProbe(this.#tunnel!, address, check, done);
    }
  };

  /** For good, once no probe is left. */
  close(): void {
    this.#isClosed = true;
    this.#tunnel?.close();
    this.#tunnel = undefined;
  }
}
