/** Whether a node runs on this forwarder and forwards, in its own words. */
import type { Check, Finding } from '../check.js';

export const node: Check = {
  name: 'node',
  where: ['forwarder'],
  looks: 'A node runs here, has an image in force, and is ready for each service.',
  async run({ status, place }) {
    const found = await status();
    if (found === undefined) {
      return [
        {
          level: 'error',
          saw: `no node answers on its control socket (${place.config.node!.socket})`,
          breaks:
            'Without a process nothing follows health, routes and config. Only the program of the engine xdp, if one was left, forwards on by its last tables.',
          mend: `anyhop run -c ${place.config.file} --interface ${place.interface}`,
        },
      ];
    }
    const findings: Finding[] = [];
    const { image, readiness, config, log } = found;
    if (image.failed !== undefined) {
      findings.push({
        level: 'error',
        saw: `the newest tables are not in force: ${image.failed} (anyhop status)`,
        breaks: 'The node forwards by older tables, maybe to backends that are down.',
        mend: `look into the log of the node; then: systemctl restart anyhop, or anyhop run again`,
      });
    }
    if (config.refused !== undefined) {
      findings.push({
        level: 'warning',
        saw: `the last reload was refused, at ${config.refused.at}: ${config.refused.message} (anyhop status)`,
        breaks: 'The node forwards by the config before.',
        mend: `anyhop check -c ${config.file}; then: anyhop reload`,
      });
    }
    if (log !== undefined) {
      findings.push({
        level: 'note',
        saw: `${log.lost} lines of the log are lost: ${log.why} (anyhop status)`,
        breaks: 'The log does not tell everything that happened.',
        mend: 'make room where the log is written',
      });
    }
    if (!readiness.ready && findings.length === 0 && !readiness.services.some(({ ready }) => ready)) {
      findings.push({
        level: 'error',
        saw: `the node is not ready: ${readiness.reasons.join('; ')} (anyhop ready)`,
        breaks: 'Routers that go by "anyhop announce" send nothing here, and packets that come are lost.',
        mend: 'the other findings; anyhop status',
      });
    }
    return findings;
  },
};
