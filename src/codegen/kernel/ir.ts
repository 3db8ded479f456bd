/** @file The kernel IR: what a fused group becomes once a schedule is applied. It has typed expressions, statements, one entry point, and no strings of
 * a target's language. Targets print it (../targets/), ./interpret/ runs it without a GPU, ./check/ checks it, ./rewrite/ changes it. */

export type KScalar = 'f32' | 'f16' | 'i32' | 'u32' | 'bool';
export type KVector = 'vec2f' | 'vec4f' | 'vec4h' | 'vec2u' | 'vec4u' | 'vec4i';
export type KType = KScalar | KVector;

export type BinOp = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>' | '==' | '!=' | '<' | '<=' | '>' | '>=' | '&&' | '||';
export type UnOp = '-' | '!' | '~';

/** Functions, all of which WGSL has too. `bitcast` and `convert` go by the expression's own type; subgroup functions need `uses.subgroups`. */
export type Fn =
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'inverseSqrt'
  | 'tanh'
  | 'sin'
  | 'cos'
  | 'abs'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'sign'
  | 'pow'
  | 'min'
  | 'max'
  | 'clamp'
  | 'fma'
  | 'dot'
  | 'select'
  | 'bitcast'
  | 'convert'
  | 'unpack2x16float'
  | 'pack2x16float'
  | 'extractBits'
  | 'insertBits'
  | 'dot4I8Packed'
  | 'unpack4xI8'
  | 'subgroupAdd'
  | 'subgroupMax'
  | 'subgroupBroadcast'
  | 'subgroupShuffle'
  | 'subgroupShuffleXor';

export type Builtin =
  | 'localX'
  | 'localY'
  | 'localZ'
  | 'localIndex'
  | 'workgroupX'
  | 'workgroupY'
  | 'workgroupZ'
  | 'numWorkgroupsX'
  | 'subgroupInvocation'
  | 'subgroupSize';

/** `select(falseValue, trueValue, condition)` has WGSL's operand order. */
export type Expr =
  | { kind: 'const'; type: KType; value: number }
  | { kind: 'var'; type: KType; name: string }
  | { kind: 'builtin'; type: 'u32'; name: Builtin }
  | { kind: 'param'; type: 'u32'; index: number; comment?: string }
  | { kind: 'bin'; type: KType; op: BinOp; a: Expr; b: Expr }
  | { kind: 'un'; type: KType; op: UnOp; a: Expr }
  | { kind: 'call'; type: KType; fn: Fn; args: readonly Expr[] }
  | { kind: 'vec'; type: KVector; parts: readonly Expr[] }
  | { kind: 'component'; type: KScalar; of: Expr; index: Expr }
  | { kind: 'load'; type: KType; buffer: string; index: Expr }
  | { kind: 'element'; type: KType; array: string; index: Expr };

/** A small matrix that the lanes of a subgroup hold together; which lane holds what is the device's affair. `left` × `right` adds to `result`. */
export interface FragmentType {
  readonly role: 'left' | 'right' | 'result';
  readonly scalar: 'f16' | 'f32';
  readonly rows: number;
  readonly cols: number;
}

/**
 * What is done with fragments: zeros, a load from workgroup memory (element (r, c) lies at offset + r·stride + c, or by columns at
 * offset + c·stride + r), result += left × right, a store by rows. All lanes of a subgroup do it together, on equal offsets.
 */
export type FragmentStmt =
  | { kind: 'fragment'; name: string; type: FragmentType }
  | { kind: 'loadFragment'; name: string; type: FragmentType; array: string; offset: Expr; stride: number; by: 'rows' | 'cols' }
  | { kind: 'multiplyFragments'; result: string; left: string; right: string }
  | { kind: 'storeFragment'; array: string; offset: Expr; stride: number; value: string };

export type Stmt =
  | FragmentStmt
  | { kind: 'let'; name: string; value: Expr }
  | { kind: 'var'; name: string; type: KType; init?: Expr }
  | { kind: 'array'; name: string; type: KType; length: number }
  | { kind: 'set'; name: string; value: Expr }
  | { kind: 'setComponent'; name: string; index: Expr; value: Expr }
  | { kind: 'setElement'; array: string; index: Expr; value: Expr }
  | { kind: 'store'; buffer: string; index: Expr; value: Expr }
  | { kind: 'for'; name: string; from: Expr; to: Expr; step: Expr; body: readonly Stmt[] }
  | { kind: 'if'; cond: Expr; then: readonly Stmt[]; else: readonly Stmt[] }
  | { kind: 'barrier' }
  | { kind: 'return' }
  | { kind: 'comment'; text: string };

/** A storage buffer. */
export interface BufferDecl {
  readonly name: string;
  readonly element: KType;
  readonly access: 'read' | 'read_write';
}

/** Workgroup memory: `length` elements. */
export interface SharedDecl {
  readonly name: string;
  readonly type: KType;
  readonly length: number;
}

/** ceil(product of `of` / `per`); strings are dimension symbols bound at run time. */
export interface GridAxis {
  readonly of: readonly (number | string)[];
  readonly per: number;
}

export interface Kernel {
  readonly name: string;
  /** In binding order: binding i + 1 of group 0 (binding 0 is the uniform block). */
  readonly buffers: readonly BufferDecl[];
  readonly shared: readonly SharedDecl[];
  readonly workgroup: readonly [number, number, number];
  /** Workgroups per axis. The runtime folds an x beyond the device's limit into y; kernels use `linearWorkgroup()` for x then. */
  readonly grid: readonly [GridAxis, GridAxis, GridAxis];
  /** `matrices`: subgroup matrices, which WebGPU offers as an experiment (Chromium's subgroup_matrix). */
  readonly uses: { readonly subgroups?: boolean; readonly f16?: boolean; readonly matrices?: boolean; readonly subgroupSize?: number };
  readonly body: readonly Stmt[];
}

/** The uniform block of a call: 64 words of u32; the first 8 are the module's dimensions in their order, the rest scalars. */
export const PARAM_WORDS = 64;
export const FIRST_SCALAR_WORD = 8;

const VECTOR_WIDTH: Record<KVector, { width: number; of: KScalar }> = {
  vec2f: { width: 2, of: 'f32' },
  vec4f: { width: 4, of: 'f32' },
  vec4h: { width: 4, of: 'f16' },
  vec2u: { width: 2, of: 'u32' },
  vec4u: { width: 4, of: 'u32' },
  vec4i: { width: 4, of: 'i32' },
};

export function isVector(type: KType): type is KVector {
  return type in VECTOR_WIDTH;
}
export function widthOf(type: KType): number {
  return isVector(type) ? VECTOR_WIDTH[type].width : 1;
}
export function scalarOf(type: KType): KScalar {
  return isVector(type) ? VECTOR_WIDTH[type].of : type;
}
/** Bytes of one element in a storage buffer or workgroup memory. */
export function bytesOf(type: KType): number {
  return widthOf(type) * (scalarOf(type) === 'f16' ? 2 : 4);
}
