/** A program that watches the namespace named in argv[2] and tells of changes, until it is killed. */
import { startMonitor } from '#anyhop/underlay/monitor.js';

startMonitor(
  {
    changed: (what) => console.log(what),
    lost: (why) => console.log(`lost: ${why}`),
  },
  ['ip', '-n', process.argv[2]!],
);
setInterval(() => {}, 60_000); // a monitor alone would not keep it running
