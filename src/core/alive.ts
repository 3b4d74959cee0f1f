/** Whether a process with this number exists, as far as this process can see. */
export function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false; // 0 and below mean process groups
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
