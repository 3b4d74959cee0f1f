/** Prints what is in the way of the af_xdp engine on an interface, as JSON: obstacle-process.js INTERFACE SYSTEM. */
import { afXdpObstacle } from '#anyhop/engine/af_xdp/obstacle.js';

const [interfaceName = '', system = '{}'] = process.argv.slice(2);
console.log(JSON.stringify((await afXdpObstacle(interfaceName, JSON.parse(system))) ?? null));
