/** What the health checks of a pool are called where there are several: the shortest names that tell them apart. */
import type { HealthConfig } from './types.js';

/** `tunnel`, `http 9612`, or `http 9612 /ready` beside `http 9612 /alive`; one for each check, no two alike. */
export function checkNames(checks: readonly HealthConfig[]): string[] {
  const forms = checks.map(formsOf);
  return forms.map((own, index) => {
    const others = new Set(forms.flatMap((form, other) => (other === index ? [] : form)));
    return own.find((form) => !others.has(form))!; // the last one has the place of the check
  });
}

/** From the shortest to the most exact. */
function formsOf(check: HealthConfig, index: number): string[] {
  const { kind } = check;
  const short = kind === 'tunnel' ? kind : `${kind} ${check.port}`;
  const longer = kind === 'http' || kind === 'https' ? [`${short} ${check.path}`] : [];
  return [short, ...longer, `${short} (health[${index}])`];
}
