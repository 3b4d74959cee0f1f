/** Lines that mend: commands as they can be pasted. */

/** @param path `net/ipv4/conf/eth0/rp_filter`; a name with dots needs the slashes */
export function setSysctl(path: string, value: number): string {
  const name = path.includes('.') ? path : path.replaceAll('/', '.');
  return `sysctl -w ${name}=${value}`;
}
