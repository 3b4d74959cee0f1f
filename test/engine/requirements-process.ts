/** Prints what the af_xdp engine lacks on an interface, as JSON, or null: requirements-process.js INTERFACE SYSTEM. */
import type { AnyhopError } from '#anyhop/core/errors.js';
import { requireAfXdp } from '#anyhop/engine/af_xdp/requirements.js';

const [interfaceName = '', system = '{}'] = process.argv.slice(2);
const lack = await requireAfXdp({ interface: interfaceName }, JSON.parse(system)).then(
  () => null,
  ({ message, hint }: AnyhopError) => ({ message, hint }),
);
console.log(JSON.stringify(lack));
