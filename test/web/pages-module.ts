/** Pages as a module mounts them, with one that brings the listener's worker down. */
import { say } from '#anyhop/web/answers.js';
import type { Mount } from '#anyhop/web/pages.js';

export const mount: Mount = ({ data, log }) => ({
  answer({ url, response, stays }) {
    if (url.pathname === '/greeting') say(response, 200, String(data));
    else if (url.pathname === '/log') {
      log('info', { event: 'listener_available' }, 'said by a page');
      say(response, 200, 'said');
    } else if (url.pathname === '/stays') {
      stays();
      response.writeHead(200, { 'content-type': 'text/plain' }).write('begun\n');
    } else if (url.pathname === '/throws') throw new Error('a page has a fault');
    else if (url.pathname === '/crash') {
      setImmediate(() => {
        throw new Error('a page has a grave fault');
      });
      say(response, 200, 'crashed');
    } else return false;
    return true;
  },
  close: () => undefined,
});
