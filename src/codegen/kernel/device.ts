/** @file What kernels depend on: what a device offers, and how devices of its kind take their work. */

import type { AdapterKind } from '../../runtime/adapterKind.ts';
import { type DeviceProfile, subgroupSizeOf } from '../../runtime/deviceProfile.ts';
import type { MatrixTraits } from '../../runtime/matrices.ts';

/** What a device offers to kernels. */
export interface DeviceTraits {
  readonly kind: AdapterKind;
  /** Whether kernels may use subgroup operations (and subgroups have at least four lanes). */
  readonly subgroups: boolean;
  /** Lanes of a subgroup where subgroups are enabled and the size is fixed (minimum = maximum), else null. */
  readonly subgroupSize: number | null;
  /** Matrices that subgroups multiply, where the device offers them and kernels may use them. */
  readonly matrices?: MatrixTraits | null;
  readonly maxInvocations: number;
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupStorage: number;
}

/** What schedules ask of a device that is like this. */
export function deviceTraits({ profile }: { readonly profile: DeviceProfile }): DeviceTraits {
  const { kind, features, limits, matrices } = profile;
  return {
    kind,
    subgroups: features.includes('subgroups'),
    subgroupSize: subgroupSizeOf(profile),
    matrices,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupStorage: limits.maxComputeWorkgroupStorageSize,
  };
}

/** The most that one lane's code may unroll to. Drivers compile larger code for seconds. */
export interface Unrolled {
  /** Ops of its stores. (SwiftShader takes 10 s for 128 elements of 60 ops.) */
  readonly ops: number;
  /** Multiply-adds of its tile, over all products, in one unrolled step along k. */
  readonly sums: number;
}

interface CommonTraits {
  readonly unrolled: {
    /** The limit for a kernel that only some steps run. */
    readonly usual: Unrolled;
    /** The limit for a kernel that every step runs, whose speed makes up for a longer compilation, and for one that is measured. */
    readonly patient: Unrolled;
  };
  /** Most elements of one result that a lane adds up. */
  readonly mostSums: number;
  /** f32 bytes up to which stored weights are widened into scratch before a dot reads them; the loads of the dot unpack larger ones. */
  readonly widenOnce: number;
  /** Whether the kernels of dQ and dK turn rotated rows back as they store them; otherwise a kernel of its own does. */
  readonly turnsBack: boolean;
  /** Milliseconds of work that bring it to its full clock. */
  readonly warmMs: number;
}

/** Rows that a subgroup of an attention kernel takes. */
export interface SpreadRows {
  /** Units (vec4, or f32 where four do not divide the head dimension) that a lane holds of all its rows. */
  readonly held: number;
  /** Rows at most. */
  readonly most: number;
}

/**
 * A CPU. A few cores run the lanes of a subgroup together and all others in turn, so that few lanes keep it busy. Drivers fetch for each lane
 * in turn, even where addresses are equal: a load costs some 40 multiply-adds a lane. Their compilers take seconds.
 */
export interface CpuTraits extends CommonTraits {
  readonly lanesInTurn: true;
  /** Whether the driver makes one instruction of `fma` (SwiftShader), or two (Mesa). */
  readonly fma: boolean;
  /** How attention spreads rows over a subgroup in its forward kernel and in those of gradients. */
  readonly spreadRows: { readonly forward: SpreadRows; readonly gradient: SpreadRows };
}

/** A GPU. Its compiler takes 0.1 s for what takes a software driver seconds. */
export interface GpuTraits extends CommonTraits {
  readonly lanesInTurn: false;
  /** The work that keeps it busy. */
  readonly busy: {
    /** Workgroups that give every core something to do. */
    readonly groups: number;
    /** Lanes in flight while loads are waited for, whatever the size of a workgroup. */
    readonly lanes: number;
  };
  /** Which tiles through workgroup memory it starts with: see `STARTING_TILES` of matmul/shared. */
  readonly tiles: 'large' | 'medium' | 'ahead';
  /** Whether a load whose address is the same in all lanes may go to scalar registers, once for all of them. */
  readonly uniformLoads: boolean;
  /** Whether its matrices are known to be many times faster than its lanes. */
  readonly fastMatrices: boolean;
}

export type KindTraits = CpuTraits | GpuTraits;

const CPU = {
  lanesInTurn: true,
  unrolled: { usual: { ops: 512, sums: 768 }, patient: { ops: 512, sums: 1536 } },
  mostSums: 512,
  // Unpacking a weight for every tile of rows costs more than the dot.
  widenOnce: 128 * 2 ** 20,
  // Turning rows back where dQ and dK are made costs LLVM more than it saves: the first step of 12 units took 20 s, and 17 s without it.
  turnsBack: false,
  warmMs: 0,
} as const;

const GPU_UNROLLED: Unrolled = { ops: 1024, sums: 1536 };
const GPU: GpuTraits = {
  lanesInTurn: false,
  unrolled: { usual: GPU_UNROLLED, patient: GPU_UNROLLED },
  mostSums: 128,
  // A GPU has arithmetic to spare and wants the bandwidth.
  widenOnce: 0,
  turnsBack: true,
  // An H200 that had been idle ran at a third of its clock, which rose in the middle of measurements.
  warmMs: 100,
  busy: { groups: 48, lanes: 8192 },
  tiles: 'large',
  uniformLoads: false,
  fastMatrices: false,
};

/** What keeps GPUs with many cores busy: 128 of NVIDIA's hold eight times as many lanes as are asked for here. */
const MANY_CORES: GpuTraits['busy'] = { groups: 128, lanes: 32768 };

/** The traits of each kind. NVIDIA's, lavapipe's and SwiftShader's were measured; Apple's, AMD's and Intel's are guesses that the tuner corrects. */
const KINDS: Readonly<Record<AdapterKind, KindTraits>> = {
  nvidia: { ...GPU, busy: MANY_CORES, tiles: 'ahead', fastMatrices: true },
  amd: { ...GPU, busy: MANY_CORES, uniformLoads: true },
  apple: { ...GPU, fastMatrices: true },
  intel: { ...GPU, tiles: 'medium' },
  other: GPU,
  // Eight rows would make gradients a quarter faster too, but LLVM takes three times as long for them.
  lavapipe: { ...CPU, fma: false, spreadRows: { forward: { held: 16, most: 8 }, gradient: { held: 8, most: 4 } } },
  swiftshader: { ...CPU, fma: true, spreadRows: { forward: { held: 16, most: 4 }, gradient: { held: 16, most: 4 } } },
};

/** How devices of a kind take their work. */
export function kindTraits({ kind }: Pick<DeviceTraits, 'kind'>): KindTraits {
  return KINDS[kind];
}
