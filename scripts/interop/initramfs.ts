/** The guest's whole file system: busybox, `ip` and `bpftool` of this machine with their libraries, kernel modules, the BPF programs, an init script. */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../lab/command.js';
import type { Kernel } from './kernel.js';

/** Programs whose names start the names of their object files; the guest's init loads each. */
export const BPF_PROGRAMS = ['agent', 'forward', 'steer'] as const;
const bpfObject = (name: string): string =>
  fileURLToPath(new URL(`../../../dist/native/${name}.bpf.o`, import.meta.url));

/** With what these in turn need; the guest finds the order by trying. */
const MODULES = [
  'virtio',
  'virtio_ring',
  'virtio_pci',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'failover',
  'net_failover',
  'virtio_net',
  'gre',
  'ip_tunnel',
  'tunnel4',
  'tunnel6',
  'ip6_tunnel',
  'ip_gre',
  'ip6_gre',
];

/** Writes `file`, a cpio archive that boots into `init`. `directory` is scratch space. */
export async function writeInitramfs(
  file: string,
  {
    directory,
    kernel,
    init,
    pages,
  }: {
    directory: string;
    kernel: Kernel;
    init: string;
    /** CGI scripts of the guest's web server, by name. */
    pages: Readonly<Record<string, string>>;
  },
): Promise<void> {
  for (const path of ['bin', 'dev', 'modules', 'proc', 'sbin', 'sys', 'www/cgi-bin']) {
    mkdirSync(join(directory, path), { recursive: true });
  }
  copyFileSync(await which('busybox'), join(directory, 'bin/busybox'));
  await copyProgram(await which('ip'), directory);
  await copyProgram(await which('bpftool'), directory);
  for (const name of BPF_PROGRAMS) copyFileSync(bpfObject(name), join(directory, basename(bpfObject(name))));
  for (const name of MODULES) await copyModule(kernel, name, join(directory, 'modules'));
  writeExecutable(join(directory, 'init'), init);
  for (const [name, script] of Object.entries(pages)) {
    writeExecutable(join(directory, 'www/cgi-bin', name), script);
  }
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  await run(['cpio', '--quiet', '-o', '-H', 'newc', '-O', file], {
    cwd: directory,
    input: `${paths.join('\n')}\n`,
  });
}

/** Copies a program and the shared libraries that it is linked with, to where it looks for them. */
async function copyProgram(program: string, directory: string): Promise<void> {
  const libraries = [...(await run(['ldd', program])).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);
  for (const library of libraries) {
    mkdirSync(join(directory, dirname(library)), { recursive: true });
    copyFileSync(library, join(directory, library));
  }
  copyFileSync(realpathSync(program), join(directory, 'sbin', basename(program)));
}

async function copyModule(kernel: Kernel, name: string, directory: string): Promise<void> {
  const file = kernel.modules.get(name);
  if (file === undefined) return; // built into this kernel
  const target = join(directory, basename(file));
  copyFileSync(file, target);
  if (target.endsWith('.xz')) await run(['xz', '-d', target]);
}

async function which(program: string): Promise<string> {
  return (await run(['which', program])).trim();
}

function writeExecutable(file: string, text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}
