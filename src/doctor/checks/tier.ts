/** The layer-7 tier of a proxy host, judged as `anyhop l7 check` does. */
import { formatProblem } from '../../config/error.js';
import { checkTier } from '../../l7/check.js';
import type { Check, Finding } from '../check.js';
import { Unseen } from '../check.js';

export const tier: Check = {
  name: 'tier',
  where: ['proxy'],
  looks:
    'HAProxy accepts what the section l7 becomes, with its certificates, and this host has its addresses, ports and descriptors.',
  async run({ place }) {
    const { problems, warnings, unseen } = await checkTier(place.tier!, {});
    const finding = (level: Finding['level'], saw: string): Finding => ({
      level,
      saw,
      breaks:
        level === 'error'
          ? 'The tier does not start, and a reload is refused.'
          : 'It is allowed, and most often a mistake.',
      mend: `edit ${place.config.file}; then: anyhop l7 check && anyhop l7 reload`,
    });
    const findings = [
      ...problems.map((each) => finding('error', formatProblem(each))),
      ...warnings.map((each) => finding('warning', formatProblem(each))),
    ];
    if (findings.length === 0 && unseen.length > 0) throw new Unseen(unseen.join('; '));
    return findings;
  },
};
