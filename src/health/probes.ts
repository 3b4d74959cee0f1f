/** From a target to what tries it. */
import type { MakeProbe } from './health-checks.js';
import { HttpProbe } from './http-probe.js';
import { TcpProbe } from './tcp-probe.js';
import { UdpProbe } from './udp-probe.js';

export const makeProbe: MakeProbe = ({ address, check }, done) => {
  switch (check.kind) {
    case 'tcp':
      return new TcpProbe(address.text, check.port, done);
    case 'http':
    case 'https':
      return new HttpProbe(address.text, check, done);
    case 'udp':
      return new UdpProbe(address, check, done);
    case 'tunnel':
      throw new Error('not yet');
  }
};
