/** @file Finds what a device must offer to run a compiled model: `requires` of plan.json. */

import { PORTABLE } from '../compile/devices/builtIn.ts';
import { boundsOf } from '../inspect/report.ts';
import type { Inspected } from '../inspect/stages.ts';
import { type DeviceProfile, subgroupSizeOf } from '../runtime/deviceProfile.ts';
import { MATRIX_FEATURE } from '../runtime/matrices.ts';
import type { Requirements } from '../runtime/planFile.ts';
import { extentBytes, type Program } from '../runtime/program.ts';
import { paramGroups } from '../runtime/storage.ts';

/** Bytes of the largest range that is bound: a value of a function, or parameters that are updated together. A larger one is bound in parts. */
function largestBinding(program: Program): number {
  const bounds = boundsOf(program);
  const updates = new Set(Object.values(program.updates));
  // Update functions have bounds of their own, which are larger than the ranges that they run on.
  const values = program.functions.flatMap((fn, i) => (updates.has(i) ? [] : fn.slots.map(({ extent }) => extentBytes(extent, bounds))));
  const groups = paramGroups(program).map(({ params }) => params.reduce((sum, p) => sum + (program.params[p]?.bytes ?? 0), 0));
  return Math.min(program.partBytes, Math.max(0, ...values, ...groups));
}

/** Returns the least that the kernels need, so that a trainer runs wherever they can. */
export function requirementsOf({ compiled, workgroup }: Inspected, profile: DeviceProfile): Requirements {
  const { program } = compiled;
  const features = [...new Set(program.pipelines.flatMap((p) => p.features))].sort();
  return {
    kind: profile === PORTABLE ? 'portable' : profile.kind,
    device: profile.name,
    subgroupSize: features.includes('subgroups') || features.includes(MATRIX_FEATURE) ? subgroupSizeOf(profile) : null,
    matrices: workgroup.matrices,
    features,
    limits: {
      maxStorageBuffersPerShaderStage: Math.max(...program.pipelines.map((p) => p.access.length)),
      maxComputeInvocationsPerWorkgroup: workgroup.invocations,
      ...(workgroup.bytes > 0 ? { maxComputeWorkgroupStorageSize: workgroup.bytes } : {}),
      maxStorageBufferBindingSize: largestBinding(program),
    },
  };
}
