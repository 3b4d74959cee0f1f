/**
 * Guards against VIPs that are addresses of this host. The host's own sockets answer for such a VIP when a packet gets past the engine:
 * by another interface, or while no engine runs. So the node refuses them, unless `node.local_vips` permits them: an
 * active-passive pair moves its VIPs to the active machine.
 *
 *   start, reload: permit refuses              addresses or routes change: look warns
 *
 * The kernel's own route lookup says what an address of this host is, so local routes (`ip route add local ...`) count too.
 */
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { type RunTool, requireTool } from '../core/tool.js';
import { runTool } from '../ffi/tool.js';
import type { IpAddress } from '../packet/address.js';
import { localAmong } from '../underlay/local.js';
import { askKernel } from '../underlay/route.js';

type RunConfig = Pick<LoadedConfig<'run'>, 'node' | 'pools' | 'services'>;

export class VipGuard {
  readonly #log: Logger;
  readonly #run: RunTool;
  #local: ReadonlySet<string> = new Set();
  readonly #looks = new Rerun(() => this.#look(this.#inForce!));
  #inForce: RunConfig | undefined;

  constructor(log: Logger, run: RunTool = runTool) {
    this.#log = log;
    this.#run = run;
  }

  has(vip: IpAddress): boolean {
    return this.#local.has(vip.text);
  }

  /**
   * Whether this host may run such a config.
   * @throws AnyhopError ERR_VIP_LOCAL when a VIP is an address of this host and the config does not say that it may be, or is the
   * address by which this host speaks to the backends; ERR_TOOL when the kernel cannot be asked
   */
  async permit(config: RunConfig): Promise<void> {
    const vips = vipsOf(config);
    const local = await localAmong(vips, this.#run);
    const own = vips.filter(({ text }) => local.has(text));
    if (own.length > 0) {
      const spoken = await this.#sourcesOf(config);
      const underlay = own.find(({ text }) => spoken.has(text));
      if (underlay !== undefined) {
        throw new AnyhopError(
          'ERR_VIP_LOCAL',
          `the VIP ${underlay.text} is the address by which this host itself speaks to the backends`,
          {
            hint: 'The engine would take all that comes in for it. Give the service an address that nobody uses, routed to this host.',
          },
        );
      }
      if (!config.node.localVips) {
        throw new AnyhopError('ERR_VIP_LOCAL', `the VIP ${own[0].text} is an address of this host`, {
          hint:
            `The host's own sockets could be reached through it: ${await this.#removal(own[0])}. The VIP belongs on the backends; ` +
            'routers send packets for it here. Where it has to be an address of this host, as with keepalived: node.local_vips: true.',
        });
      }
    }
    this.#local = local;
  }

  /**
   * Addresses, links or routes may have changed. Resolves when what was true at the call is known.
   * @param config what is in force
   */
  look(config: RunConfig): Promise<void> {
    this.#inForce = config;
    return this.#looks.ask();
  }

  async #look(config: RunConfig): Promise<void> {
    const vips = vipsOf(config);
    try {
      const local = await localAmong(vips, this.#run);
      const came = vips.filter(({ text }) => local.has(text) && !this.#local.has(text));
      const went = vips.filter(({ text }) => !local.has(text) && this.#local.has(text));
      this.#local = local;
      for (const vip of came) await this.#tell(vip, config);
      for (const { text } of went)
        this.#log.info(
          { event: 'vip_not_local', vip: text },
          `the VIP ${text} is no longer an address of this host`,
        );
    } catch (error) {
      this.#log.warn(
        { event: 'local_vips_unknown', error },
        `whether VIPs are addresses of this host could not be found out: ${reasonOf(error)}`,
      );
    }
  }

  async #tell(vip: IpAddress, config: RunConfig): Promise<void> {
    const text = `the VIP ${vip.text} is an address of this host now`;
    if (config.node.localVips) {
      this.#log.info({ event: 'vip_local', vip: vip.text }, text);
      return;
    }
    const checked = config.pools.find(
      ({ health }) =>
        vip.family === 4 &&
        health.some(
          (check) => check.kind === 'tunnel' && check.endpoints.some((each) => each.vip.text === vip.text),
        ),
    );
    const consequence =
      checked === undefined
        ? ''
        : `, and the checks of pool ${checked.name} through the tunnel get no answer, since the kernel takes no packets from an address of its own`;
    this.#log.warn(
      { event: 'vip_local', vip: vip.text },
      `${text}: its own sockets can be reached through the VIP by other interfaces, and wherever anyhop does not run${consequence}. ` +
        `${await this.#removal(vip)}; or set node.local_vips: true, where that is meant`,
    );
  }

  /** The addresses of this host by which it would speak to the backends. */
  async #sourcesOf({ pools }: RunConfig): Promise<ReadonlySet<string>> {
    const backends = pools.flatMap((pool) => pool.backends.map(({ address }) => address));
    const answers = await askKernel(backends, this.#run);
    return new Set(answers.flatMap((answer) => (typeof answer === 'string' ? [] : (answer.prefsrc ?? []))));
  }

  /** How a VIP ceases to be an address of this host. */
  async #removal(vip: IpAddress): Promise<string> {
    const links: { ifname: string; addr_info: { local?: string; prefixlen: number }[] }[] = JSON.parse(
      await requireTool(this.#run, 'ip', ['-json', 'addr', 'show']),
    );
    for (const { ifname, addr_info } of links) {
      const holder = addr_info.find(({ local }) => local === vip.text);
      if (holder !== undefined) return `ip addr del ${vip.text}/${holder.prefixlen} dev ${ifname}`;
    }
    return `ip route get ${vip.text} shows the local route`;
  }
}

/** Each once. */
function vipsOf({ services }: RunConfig): IpAddress[] {
  return [...new Map(services.map(({ vip }) => [vip.text, vip])).values()];
}
