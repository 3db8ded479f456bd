// @head.fwd, ir/4-fuse.ebb:63-67: B FLOP, 4 bytes bound
// row_reduce

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> reduce_out: array<f32>;
var<workgroup> partial_1: array<f32, 256>;

@compute @workgroup_size(256, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let width = params[0][0] /* B */;
  let row = workgroup.x + workgroup.y * num_workgroups.x;
  if (!(row < 1u)) {
    return;
  }
  var acc: f32 = 0.0;
  let first = local.x;
  for (var k: u32 = first; k < width; k += 256u) {
    acc = acc + 8.0;
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
    reduce_out[row] = all;
  }
}
