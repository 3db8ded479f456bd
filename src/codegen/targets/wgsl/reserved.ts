/** @file Names that a kernel's own must keep clear of in WGSL: those that the printer declares, WGSL's keywords, reserved words and types, and
 * the functions that kernels call (https://www.w3.org/TR/WGSL/#keyword-summary, #reserved-words). */

const OURS = 'params main local local_index workgroup num_workgroups subgroup_invocation subgroup_size';
const KEYWORDS =
  'alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop ' +
  'override requires return struct switch true var while';
const RESERVED =
  'NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await become cast catch class co_await ' +
  'co_return co_yield coherent column_major common compile compile_fragment concept const_cast consteval constexpr constinit ' +
  'crate debugger decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends extern external ' +
  'fallthrough filter final finally friend from fxgroup get goto groupshared highp impl implements import inline instanceof ' +
  'interface layout lowp macro macro_rules match mediump meta mod module move mut mutable namespace new nil noexcept noinline ' +
  'nointerpolation non_coherent noncoherent noperspective null nullptr of operator package packoffset partial pass patch ' +
  'pixelfragment precise precision premerge priv protected pub public readonly ref regardless register reinterpret_cast require ' +
  'resource restrict self set shared sizeof smooth snorm static static_assert static_cast std subroutine super target template ' +
  'this thread_local throw trait try type typedef typeid typename typeof union unless unorm unsafe unsized use using varying ' +
  'virtual volatile wgsl where with writeonly yield';
const TYPES = 'f32 f16 i32 u32 bool array atomic ptr vec2 vec3 vec4 vec2f vec4f vec4h vec2u vec4u vec4i mat2x2 mat4x4';
const FUNCTIONS =
  'exp log sqrt inverseSqrt tanh sin cos abs floor ceil round sign pow min max clamp fma dot select bitcast unpack2x16float ' +
  'pack2x16float extractBits insertBits dot4I8Packed unpack4xI8 subgroupAdd subgroupMax subgroupBroadcast subgroupShuffle subgroupShuffleXor ' +
  'workgroupBarrier';

export const RESERVED_NAMES: ReadonlySet<string> = new Set([OURS, KEYWORDS, RESERVED, TYPES, FUNCTIONS].flatMap((list) => list.split(' ')));
