/**
 * Two namespaces and a link between them: a node, and a peer that is everything else to it.
 *
 *     node: eth0 10.0.0.1, fd00::1  =====  peer: eth0 10.0.0.2, fd00::2, the default route
 *
 * Neighbours are fixed towards the peer, so that the first packet to it does not wait for an answer.
 */
import { fileURLToPath } from 'node:url';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { PASS_PROGRAM } from '../../scripts/lab/topology.js';
import { NODE_MAC, ROUTER_MAC } from '../packets/build.js';

export const LINK = 'eth0';
const LINK_MTU = 2000;
export const NODE4 = '10.0.0.1';
export const NODE6 = 'fd00::1';
/** The peer's: its frames go out as they are, and its libpcap has a ring of thousands (offload.ts says why). The node keeps all that a new interface has on, for engines to switch off. */
const OFFLOADS = ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];

export interface NodeLink {
  readonly resources: Resources;
  readonly node: string;
  readonly peer: string;
  onNode(...argv: string[]): Promise<string>;
  onPeer(...argv: string[]): Promise<string>;
}

/** A file beside the compiled tests of this folder. */
export const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/**
 * Frames that XDP sends reach a veth only if it has an XDP program itself: the peer gets the one of `anyhop pass`, from a tool that
 * starts in a twentieth of the time.
 */
export async function letXdpArrive({ onPeer }: NodeLink): Promise<void> {
  await onPeer('ip', 'link', 'set', 'dev', LINK, 'xdp', 'obj', PASS_PROGRAM, 'sec', 'xdp');
}

/** A link over which frames that XDP sends arrive, and a BPF file system. */
export async function createXdpLink(): Promise<NodeLink & { readonly bpffs: string }> {
  const link = await createLink();
  try {
    await letXdpArrive(link);
    return { ...link, bpffs: link.resources.bpffs() };
  } catch (error) {
    await link.resources.close();
    throw error;
  }
}

export interface LinkOptions {
  /** Receive and transmit queues of both ends; 1 unless given. */
  readonly queues?: number;
  readonly mtu?: number;
}

/** @param families of the addresses that the link gets; both unless given */
export async function createLink(
  families: readonly (4 | 6)[] = [4, 6],
  { queues = 1, mtu = LINK_MTU }: LinkOptions = {},
): Promise<NodeLink> {
  const resources = new Resources();
  try {
    const node = resources.addNamespace('node');
    const peer = resources.addNamespace('peer');
    const ip = (namespace: string, ...commands: string[]): Promise<string> =>
      run(inNamespace(namespace, ['ip', '-batch', '-']), { input: `${commands.join('\n')}\n` });
    const four = families.includes(4);
    const six = families.includes(6);
    const end = (mac: string): string =>
      `${LINK} mtu ${mtu} address ${mac} numtxqueues ${queues} numrxqueues ${queues}`;
    await ip(
      node,
      'link set lo up',
      `link add ${end(NODE_MAC)} type veth peer name ${end(ROUTER_MAC)} netns ${peer}`,
    );
    await ip(
      peer,
      ...(four ? [`addr add 10.0.0.2/24 dev ${LINK}`] : []),
      ...(six ? [`addr add fd00::2/64 dev ${LINK} nodad`] : []),
      `link set ${LINK} up`,
    );
    await ip(
      node,
      ...(four ? [`addr add ${NODE4}/24 dev ${LINK}`] : []),
      ...(six ? [`addr add ${NODE6}/64 dev ${LINK} nodad`] : []),
      `link set ${LINK} up`,
      ...(four
        ? [
            'route add default via 10.0.0.2',
            `neigh replace 10.0.0.2 lladdr ${ROUTER_MAC} dev ${LINK} nud permanent`,
          ]
        : []),
      ...(six
        ? [
            'route add default via fd00::2',
            `neigh replace fd00::2 lladdr ${ROUTER_MAC} dev ${LINK} nud permanent`,
          ]
        : []),
    );
    await run(inNamespace(peer, ['ethtool', '-K', LINK, ...OFFLOADS]));
    await run(inNamespace(node, ['ethtool', '-K', LINK, 'gro', 'on']));
    return {
      resources,
      node,
      peer,
      onNode: (...argv) => run(inNamespace(node, argv)),
      onPeer: (...argv) => run(inNamespace(peer, argv)),
    };
  } catch (error) {
    await resources.close();
    throw error;
  }
}
