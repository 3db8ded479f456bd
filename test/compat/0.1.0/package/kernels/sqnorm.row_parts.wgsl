// @sqnorm, ir/4-fuse.ebb:106-109: 8388608 FLOP, 4·N·Q + 4·N bytes bound
// row_parts

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts_out: array<f32>;
var<workgroup> partial_1: array<f32, 256>;

@compute @workgroup_size(256, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let width = params[0][2] /* Q */;
  let row = workgroup.x + workgroup.y * num_workgroups.x;
  if (!(row < params[0][1] /* N */)) {
    return;
  }
  var acc: f32 = 0.0;
  let first = local.x;
  for (var k: u32 = first; k < width; k += 256u) {
    let p = row * width + k;
    let g_1 = g[p];
    let mul = g_1 * g_1;
    acc = acc + mul;
  }
  workgroupBarrier();
  partial_1[local.x] = acc;
  workgroupBarrier();
  if (local.x < 128u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 128u];
  }
  workgroupBarrier();
  if (local.x < 64u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 64u];
  }
  workgroupBarrier();
  if (local.x < 32u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 32u];
  }
  workgroupBarrier();
  if (local.x < 16u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 16u];
  }
  workgroupBarrier();
  if (local.x < 8u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 8u];
  }
  workgroupBarrier();
  if (local.x < 4u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 4u];
  }
  workgroupBarrier();
  if (local.x < 2u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 2u];
  }
  workgroupBarrier();
  if (local.x < 1u) {
    partial_1[local.x] = partial_1[local.x] + partial_1[local.x + 1u];
  }
  workgroupBarrier();
  let all = partial_1[0u];
  if (local.x == 0u) {
    parts_out[row] = all;
  }
}
