// @head.bwd, ir/4-fuse.ebb:80-88: 1 + 24·B FLOP, 4 + 64·B bytes bound
// map_d_head_1

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> reduce: array<f32>;
@group(0) @binding(2) var<storage, read_write> head_1: array<vec4f>;
@group(0) @binding(3) var<storage, read> target_1: array<vec4f>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let unit = (workgroup.x + workgroup.y * num_workgroups.x) * 64u + local.x;
  if (unit < 8u * params[0][0] /* B */ / 4u) {
    let at = unit * 4u;
    let loss_scale = bitcast<f32>(params[2][0] /* loss_scale */);
    let reduce_1 = reduce[0u];
    let d_reduce_1 = loss_scale / reduce_1;
    let d_mul = vec4f(d_reduce_1);
    let head_1_1 = head_1[at / 4u];
    let target_2 = target_1[at / 4u];
    let sub = head_1_1 - target_2;
    let mul_2 = d_mul * sub;
    let d_head_1 = mul_2 + mul_2;
    head_1[at / 4u] = d_head_1;
  }
}
