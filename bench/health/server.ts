/** What the health benchmark checks: takes connections on every loopback address and answers HTTP. Prints its port. */
import { createServer } from 'node:http';

const server = createServer((_, response) => response.end('ok\n'));
server.listen(0, '0.0.0.0', 4096, () => {
  const address = server.address();
  if (typeof address === 'object') console.log(address?.port);
});
process.on('disconnect', () => process.exit());
