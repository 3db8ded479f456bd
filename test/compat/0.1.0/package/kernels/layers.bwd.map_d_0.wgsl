// @layers.bwd, ir/4-fuse.ebb:33-48: 128·B FLOP, 96·B bytes bound
// map_d_0

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> d_y: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v0: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> d_0_out: array<vec4f>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let unit = (workgroup.x + workgroup.y * num_workgroups.x) * 64u + local.x;
  if (unit < 8u * params[0][0] /* B */ / 4u) {
    let at = unit * 4u;
    let d_y_1 = d_y[at / 4u];
    let branch_weight = bitcast<f32>(params[2][0] /* branch_weight */);
    let d_silu = d_y_1 * vec4f(branch_weight);
    let v0_1 = v0[at / 4u];
    let neg = -v0_1;
    let exp_1 = exp(neg);
    let add = vec4f(1.0) + exp_1;
    let div = vec4f(1.0) / add;
    let mul_1 = d_silu * div;
    let d_div = d_silu * v0_1;
    let div_1 = d_div / add;
    let mul_3 = div_1 * div;
    let d_exp = -mul_3;
    let d_neg = d_exp * exp_1;
    let neg_2 = -d_neg;
    let d_0 = mul_1 + neg_2;
    d_0_out[at / 4u] = d_0;
  }
}
