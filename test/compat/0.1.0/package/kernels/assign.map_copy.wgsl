// @assign, ir/4-fuse.ebb:130-132: no FLOP, 32·N bytes bound
// map_copy

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> copy_out: array<vec4f>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let unit = (workgroup.x + workgroup.y * num_workgroups.x) * 64u + local.x;
  if (unit < 4u * params[0][1] /* N */ / 4u) {
    let at = unit * 4u;
    let x_1 = x[at / 4u];
    copy_out[at / 4u] = x_1;
  }
}
