/** Whether there is a process of this number, as far as this one sees. */
export function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false; // 0 and below are groups
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
