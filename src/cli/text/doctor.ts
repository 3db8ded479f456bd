/** @file The report of `ebb doctor` as text. */

import type { DoctorReport } from '../../session/doctor.ts';
import { MEASURED_SIZE } from '../../session/roof.ts';

/** Writes the report as text. */
export function doctorText(r: DoctorReport): string {
  return [
    'adapters:',
    ...r.adapters.map((a) => `  ${a.kind.padEnd(12)} ${a.name}${a.name === r.taken.name ? '   <- taken' : ''}`),
    `taken:      ${r.taken.kind}, ${r.taken.why}`,
    `features:   ${r.features.join(', ') || 'none'}`,
    'limits:',
    ...Object.entries(r.limits).map(([name, value]) => `  ${name.padEnd(42)} ${value}`),
    `measured:   matmul ${MEASURED_SIZE}³ ${r.measured.matmulGflops.toFixed(1)} GFLOP/s, copies ${r.measured.copyGBps.toFixed(1)} GB/s`,
    `schedules:  ${r.schedules.entries.length} measured, in ${r.schedules.file}${r.schedules.entries.length > 0 ? ' (--schedules lists them)' : ''}`,
    `advice:     ${r.advice}`,
  ].join('\n');
}
