// @adamw, ir/4-fuse.ebb:144-171: 4259843 FLOP, 64·N + 4 bytes bound
// map_add_add_1_sub_3

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> g: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> p: array<vec4f>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) num_workgroups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let unit = (workgroup.x + workgroup.y * num_workgroups.x) * 64u + local.x;
  if (unit < 4u * params[0][1] /* N */ / 4u) {
    let at = unit * 4u;
    let m_1 = m[at / 4u];
    let beta1 = bitcast<f32>(params[2][3] /* beta1 */);
    let mul = m_1 * vec4f(beta1);
    let g_1 = g[at / 4u];
    let q = at / 4u;
    let scale_1 = scale[0u];
    let clipped = g_1 * vec4f(scale_1);
    let sub = 1.0 - beta1;
    let mul_1 = clipped * vec4f(sub);
    let add = mul + mul_1;
    let v_1 = v[at / 4u];
    let beta2 = bitcast<f32>(params[3][0] /* beta2 */);
    let mul_2 = v_1 * vec4f(beta2);
    let mul_3 = clipped * clipped;
    let sub_1 = 1.0 - beta2;
    let mul_4 = mul_3 * vec4f(sub_1);
    let add_1 = mul_2 + mul_4;
    let p_1 = p[at / 4u];
    let lr = bitcast<f32>(params[2][2] /* lr */);
    let weight_decay = bitcast<f32>(params[2][1] /* weight_decay */);
    let iota = i32(q);
    let convert = f32(iota);
    let decay_rows = bitcast<f32>(params[2][0] /* decay_rows */);
    let lt = convert < decay_rows;
    let decay = select(0.0, weight_decay, lt);
    let mul_5 = lr * decay;
    let sub_2 = 1.0 - mul_5;
    let mul_6 = p_1 * vec4f(sub_2);
    let bias1 = bitcast<f32>(params[3][2] /* bias1 */);
    let div = lr / bias1;
    let mul_7 = vec4f(div) * add;
    let sqrt_1 = sqrt(add_1);
    let bias2_sqrt = bitcast<f32>(params[3][3] /* bias2_sqrt */);
    let div_1 = sqrt_1 / vec4f(bias2_sqrt);
    let eps = bitcast<f32>(params[3][1] /* eps */);
    let add_2 = div_1 + vec4f(eps);
    let div_2 = mul_7 / add_2;
    let sub_3 = mul_6 - div_2;
    m[at / 4u] = add;
    v[at / 4u] = add_1;
    p[at / 4u] = sub_3;
  }
}
