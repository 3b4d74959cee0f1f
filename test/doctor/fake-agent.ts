/**
 * Something on an agent's port, on one address: answers each question with a report from the command line, by a clock that is off by as many
 * seconds as the command line says; without a report, it hangs up, as agents do on who is no forwarder of theirs.
 */
import { createServer } from 'node:http';

const [, , address = '', port = '', offS = '0', report = ''] = process.argv;

const server = createServer((_, response) => {
  response.setHeader('date', new Date(Date.now() + Number(offS) * 1_000).toUTCString());
  response.end(report);
});
if (report === '') server.on('connection', (socket) => socket.destroy());
server.listen(Number(port), address, () => console.log(JSON.stringify({ event: 'ready' })));
