/** The process of a DNS host, by its config file. */
import { runRegions } from '#anyhop/announce/region/run.js';
import { loadConfig } from '#anyhop/config/load.js';
import { createLog } from '#anyhop/core/log.js';

const [file = ''] = process.argv.slice(2);
process.exitCode = await runRegions(() => loadConfig(file, { role: 'region' }), createLog('info', false));
