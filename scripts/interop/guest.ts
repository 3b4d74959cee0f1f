/**
 * The guest: a Linux machine whose kernel unwraps GRE by itself, as a backend without `anyhop agent` is set up. It is an
 * independent implementation: nothing of anyhop runs in it.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { HTTP_PORTS, LARGE_BYTES } from '../lab/nginx.js';
import type { LabProcess } from '../lab/process.js';
import type { Resources } from '../lab/resources.js';
import { type LinkAddresses, UNDERLAY_MTU, VIP4, VIP6 } from '../lab/topology.js';
import { BPF_PROGRAMS, writeInitramfs } from './initramfs.js';
import type { Kernel } from './kernel.js';

const READY = 'guest: ready';
/** QEMU without hardware virtualisation takes some 5 s on an idle machine. */
const BOOT_TIMEOUT_MS = 90_000;
const MEMORY_MIB = 512;

export interface Guest {
  /** Its name is that of its tap device, a port of the router. */
  readonly name: string;
  readonly addresses: LinkAddresses;
}

/** Boots the guest; resolves when its web server listens. QEMU runs where the tap device is: in the router's namespace. */
export async function bootGuest(
  resources: Resources,
  { router, guest, kernel }: { router: string; guest: Guest; kernel: Kernel },
): Promise<LabProcess> {
  const directory = join(resources.directory, guest.name);
  mkdirSync(directory);
  const initramfs = join(resources.directory, `${guest.name}.cpio`);
  await writeInitramfs(initramfs, {
    directory,
    kernel,
    init: initScript(guest.addresses),
    pages: webPages(guest.name),
  });
  const qemu = await resources.startProcess(guest.name, router, [
    'qemu-system-x86_64',
    ...['-accel', 'tcg', '-cpu', 'max', '-m', String(MEMORY_MIB)],
    ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
    ...['-kernel', kernel.image, '-initrd', initramfs, '-append', 'console=ttyS0 quiet panic=-1'],
    ...['-netdev', `tap,id=net0,ifname=${guest.name},script=no,downscript=no`],
    // No offloads: what passes the tap device is what would pass a wire.
    ...['-device', 'virtio-net-pci,netdev=net0,csum=off,gso=off,guest_csum=off'],
  ]);
  await qemu.waitForLine((line) => line.includes(READY), 'boot', BOOT_TIMEOUT_MS);
  return qemu;
}

/** What an administrator does on a backend with plain kernel tunnels, after the usual start of a machine. */
function initScript({ host4, router4, host6, router6 }: LinkAddresses): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for round in 1 2 3 4 5 6; do
  for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done
done

# An init that ends is a kernel panic, whose many lines would hide what went wrong.
trap 'poweroff -f' EXIT
set -e
# busybox has an ip of its own, which knows no GRE for IPv6 and would be taken first.
ip() { /sbin/ip "$@"; }
ip link set lo up
ip link set eth0 mtu ${UNDERLAY_MTU} up
ip addr add ${host4}/24 dev eth0
ip addr add ${host6}/64 dev eth0 nodad
ip route add default via ${router4}
ip route add default via ${router6}

# One tunnel for each underlay; each takes IPv4 and IPv6 inside, from any forwarder.
ip link add anyhop4 type gre local ${host4} remote any
ip link add anyhop6 type ip6gre local ${host6} remote any
ip link set anyhop4 up
ip link set anyhop6 up
ip addr add ${VIP4}/32 dev lo
ip addr add ${VIP6}/128 dev lo nodad
# Packets from clients come in by the tunnel and are answered by eth0.
for setting in all default eth0 anyhop4 anyhop6; do echo 0 >/proc/sys/net/ipv4/conf/$setting/rp_filter; done

# Not needed by the tunnels: this kernel's verifier is asked for its opinion.
mount -t bpf bpf /sys/fs/bpf
${BPF_PROGRAMS.map((name) => `/sbin/bpftool prog load /${name}.bpf.o /sys/fs/bpf/${name} type xdp`).join('\n')}

${HTTP_PORTS.map((port) => `httpd -p ${port} -h /www`).join('\n')}
echo '${READY}'
while true; do sleep 3600; done
`;
}

function webPages(name: string): Record<string, string> {
  const head = `printf 'Content-Type: text/plain\\r\\nX-Backend: ${name}\\r\\n\\r\\n'`;
  return {
    // What httpd runs for /.
    'index.cgi': `#!/bin/sh\n${head}\necho ${name}\n`,
    upload: `#!/bin/sh\ncat >/dev/null\n${head}\necho ${name}\n`,
    large: `#!/bin/sh\n${head}\nhead -c ${LARGE_BYTES} /dev/zero\n`,
  };
}
