// @accumulate, ir/4-fuse.ebb:99-101: 262144 FLOP, 32·N bytes bound
// map_sum

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let unit = (workgroup.x + workgroup.y * num_workgroups.x) * 64u + local.x;
  if (unit < 4u * params[0][1] /* N */ / 4u) {
    let at = unit * 4u;
    let y_1 = y[at / 4u];
    let x_1 = x[at / 4u];
    let sum = y_1 + x_1;
    y[at / 4u] = sum;
  }
}
