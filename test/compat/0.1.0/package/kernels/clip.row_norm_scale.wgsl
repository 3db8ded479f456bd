// @clip, ir/4-fuse.ebb:114-125: 4102 FLOP, 256·G + 8 bytes bound
// row_norm_scale

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> parts: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> norm_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale_out: array<f32>;
var<workgroup> partial_1: array<f32, 64>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let width = 64u * params[0][3] /* G */;
  let row = workgroup.x + workgroup.y * num_workgroups.x;
  if (!(row == 0u)) {
    return;
  }
  var acc: vec4f = vec4f(0.0);
  let first = local.x * 4u;
  for (var k: u32 = first; k < width; k += 256u) {
    let parts_1 = parts[k / 4u];
    acc = acc + parts_1;
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
  let norm = sqrt(all);
  let add = norm + 0.000001;
  let max_norm = bitcast<f32>(params[2][0] /* max_norm */);
  let div = max_norm / add;
  let min_1 = min(1.0, div);
  let ge = 0.0 >= max_norm;
  let scale = select(min_1, 1.0, ge);
  if (local.x == 0u) {
    norm_out[0u] = norm;
    scale_out[0u] = scale;
  }
}
