// @sgd, ir/4-fuse.ebb:176-195: 3080193 FLOP, 48·N + 4 bytes bound
// map_add_1_sub

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> g: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> p: array<vec4f>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let unit = (workgroup.x + workgroup.y * num_workgroups.x) * 64u + local.x;
  if (unit < 4u * params[0][1] /* N */ / 4u) {
    let at = unit * 4u;
    let m_1 = m[at / 4u];
    let momentum = bitcast<f32>(params[2][3] /* momentum */);
    let mul_1 = m_1 * vec4f(momentum);
    let g_1 = g[at / 4u];
    let q = at / 4u;
    let scale_1 = scale[0u];
    let clipped = g_1 * vec4f(scale_1);
    let p_1 = p[at / 4u];
    let weight_decay = bitcast<f32>(params[2][1] /* weight_decay */);
    let iota = i32(q);
    let convert = f32(iota);
    let decay_rows = bitcast<f32>(params[2][0] /* decay_rows */);
    let lt = convert < decay_rows;
    let decay = select(0.0, weight_decay, lt);
    let mul = p_1 * vec4f(decay);
    let add = clipped + mul;
    let fresh = bitcast<f32>(params[3][0] /* fresh */);
    let mul_2 = add * vec4f(fresh);
    let add_1 = mul_1 + mul_2;
    let lr = bitcast<f32>(params[2][2] /* lr */);
    let mul_3 = add_1 * vec4f(momentum);
    let add_2 = add + mul_3;
    let nesterov = bitcast<f32>(params[3][1] /* nesterov */);
    let ge = nesterov >= 0.5;
    let select_1 = select(add_1, add_2, ge);
    let mul_4 = vec4f(lr) * select_1;
    let sub = p_1 - mul_4;
    m[at / 4u] = add_1;
    p[at / 4u] = sub;
  }
}
