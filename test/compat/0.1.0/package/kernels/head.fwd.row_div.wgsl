// @head.fwd, ir/4-fuse.ebb:68-74: 1 + 24·B FLOP, 64·B + 8 bytes bound
// row_div

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> head_1: array<vec4f>;
@group(0) @binding(2) var<storage, read> target_1: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> reduce: array<f32>;
@group(0) @binding(4) var<storage, read_write> div_out: array<f32>;
var<workgroup> partial_1: array<f32, 64>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let width = 8u * params[0][0] /* B */;
  let row = workgroup.x + workgroup.y * num_workgroups.x;
  if (!(row == 0u)) {
    return;
  }
  var acc: vec4f = vec4f(0.0);
  let first = local.x * 4u;
  for (var k: u32 = first; k < width; k += 256u) {
    let head_1_1 = head_1[k / 4u];
    let target_2 = target_1[k / 4u];
    let sub = head_1_1 - target_2;
    let mul = sub * sub;
    acc = acc + mul;
  }
  workgroupBarrier();
  partial_1[local.x] = acc.x + acc.y + (acc.z + acc.w);
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
  let reduce_1 = reduce[0u];
  let div = all / reduce_1;
  if (local.x == 0u) {
    div_out[0u] = div;
  }
}
