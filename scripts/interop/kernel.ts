/**
 * Debian's cloud kernel: a small, unmodified Linux whose modules include ip_gre and ip6_gre. Its package is downloaded with
 * apt and unpacked, never installed, and kept for the next time.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lab/command.js';

/** Always depends on the package of the newest kernel image. */
const META_PACKAGE = 'linux-image-cloud-amd64';
const DOWNLOAD_TIMEOUT_MS = 180_000;

export interface Kernel {
  /** Name of the package that it came from; tells the kernel's version. */
  readonly packageName: string;
  /** The bootable image. */
  readonly image: string;
  /** Files of the loadable modules, by module name without suffix. */
  readonly modules: ReadonlyMap<string, string>;
}

/** The kernel, from `directory` when an earlier call left it there. Needs apt, and the network the first time. */
export async function obtainKernel(directory: string): Promise<Kernel> {
  mkdirSync(directory, { recursive: true });
  const [kept] = readdirSync(directory);
  return describeKernel(directory, kept ?? (await download(directory)));
}

async function download(directory: string): Promise<string> {
  const packageName = await newestPackage();
  // Unpacked beside its place and moved there when whole: an interrupted download is no kernel.
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  // apt downloads as a user that may not write here, unless it is told to stay root.
  const apt = ['apt-get', '-q', '-o', 'APT::Sandbox::User=root', 'download', packageName];
  await run(apt, { cwd: partial, timeoutMs: DOWNLOAD_TIMEOUT_MS });
  const [archive] = readdirSync(partial);
  await run(['dpkg-deb', '-x', join(partial, archive!), join(partial, packageName)], {
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  renameSync(join(partial, packageName), join(directory, packageName));
  rmSync(partial, { recursive: true });
  return packageName;
}

async function newestPackage(): Promise<string> {
  const depends = (): Promise<string> => run(['apt-cache', 'depends', '--important', META_PACKAGE]);
  const text = await depends().catch(async () => {
    await run(['apt-get', 'update', '-q'], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
    return depends();
  });
  const name = /Depends: (linux-image-\S+)/.exec(text)?.[1];
  if (name === undefined) throw new Error(`apt knows no kernel behind ${META_PACKAGE}:\n${text}`);
  return name;
}

function describeKernel(directory: string, packageName: string): Kernel {
  const root = join(directory, packageName);
  const image = readdirSync(join(root, 'boot')).find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined)
    throw new Error(`${packageName} holds no kernel image: remove ${root} and try again`);
  // Debian 12 has them in /lib, Debian 13 in /usr/lib and compressed.
  const library = ['lib/modules', 'usr/lib/modules'].map((path) => join(root, path)).find(existsSync)!;
  const modules = new Map<string, string>();
  for (const path of readdirSync(library, { recursive: true, encoding: 'utf8' })) {
    const name = /([^/]+)\.ko(\.xz)?$/.exec(path)?.[1];
    if (name !== undefined) modules.set(name, join(library, path));
  }
  return { packageName, image: join(root, 'boot', image), modules };
}
