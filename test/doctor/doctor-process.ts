/**
 * A doctor that stays: one line of options in, one line of report out. Dozens of faults are asked about in one lab, and a process for each
 * would take longer than all of the checks.
 */
import { createInterface } from 'node:readline';
import { reportOf } from '#anyhop/cli/doctor.js';
import { doctorPlaces } from '#anyhop/cli/doctor-places.js';
import { CHECKS } from '#anyhop/doctor/checks.js';
import { diagnose } from '#anyhop/doctor/diagnose.js';
import { thisHost } from '#anyhop/doctor/host.js';

console.log(JSON.stringify({ event: 'ready' }));
for await (const line of createInterface({ input: process.stdin })) {
  const started = performance.now();
  try {
    const places = await doctorPlaces(JSON.parse(line), thisHost);
    const diagnoses = await Promise.all(places.map((place) => diagnose(thisHost, place, CHECKS)));
    console.log(JSON.stringify(reportOf(diagnoses, performance.now() - started)));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
