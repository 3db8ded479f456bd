// @layers.bwd, ir/4-fuse.ebb:53-55: 128·B FLOP, 64·B + 256 bytes bound
// @head.bwd, ir/4-fuse.ebb:92-94: 128·B FLOP, 64·B + 256 bytes bound
// dot_d_layers_add

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> d_0: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> d_layers_out: array<vec4f>;

@compute @workgroup_size(2, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let size_k = params[0][0] /* B */;
  let tile_m = workgroup.y * 8u;
  let tile_n = workgroup.x * 8u;
  let m4 = tile_m + 4u;
  let n0 = tile_n + local.x * 4u;
  var sum_0_0: vec4f = vec4f(0.0);
  var sum_1_0: vec4f = vec4f(0.0);
  var sum_2_0: vec4f = vec4f(0.0);
  var sum_3_0: vec4f = vec4f(0.0);
  var sum_4_0: vec4f = vec4f(0.0);
  var sum_5_0: vec4f = vec4f(0.0);
  var sum_6_0: vec4f = vec4f(0.0);
  var sum_7_0: vec4f = vec4f(0.0);
  let main_k = size_k - size_k % 4u;
  for (var k: u32 = 0u; k < main_k; k += 4u) {
    let d_0_1 = d_0[(k * 8u + tile_m) / 4u];
    let d_0_2 = d_0[((k + 1u) * 8u + tile_m) / 4u];
    let d_0_3 = d_0[((k + 2u) * 8u + tile_m) / 4u];
    let d_0_4 = d_0[((k + 3u) * 8u + tile_m) / 4u];
    let d_0_5 = d_0[(k * 8u + m4) / 4u];
    let d_0_6 = d_0[((k + 1u) * 8u + m4) / 4u];
    let d_0_7 = d_0[((k + 2u) * 8u + m4) / 4u];
    let d_0_8 = d_0[((k + 3u) * 8u + m4) / 4u];
    let x_1 = x[(k * 8u + n0) / 4u];
    let x_2 = x[((k + 1u) * 8u + n0) / 4u];
    let x_3 = x[((k + 2u) * 8u + n0) / 4u];
    let x_4 = x[((k + 3u) * 8u + n0) / 4u];
    sum_0_0 = sum_0_0 + vec4f(d_0_1.x) * x_1;
    sum_1_0 = sum_1_0 + vec4f(d_0_1.y) * x_1;
    sum_2_0 = sum_2_0 + vec4f(d_0_1.z) * x_1;
    sum_3_0 = sum_3_0 + vec4f(d_0_1.w) * x_1;
    sum_4_0 = sum_4_0 + vec4f(d_0_5.x) * x_1;
    sum_5_0 = sum_5_0 + vec4f(d_0_5.y) * x_1;
    sum_6_0 = sum_6_0 + vec4f(d_0_5.z) * x_1;
    sum_7_0 = sum_7_0 + vec4f(d_0_5.w) * x_1;
    sum_0_0 = sum_0_0 + vec4f(d_0_2.x) * x_2;
    sum_1_0 = sum_1_0 + vec4f(d_0_2.y) * x_2;
    sum_2_0 = sum_2_0 + vec4f(d_0_2.z) * x_2;
    sum_3_0 = sum_3_0 + vec4f(d_0_2.w) * x_2;
    sum_4_0 = sum_4_0 + vec4f(d_0_6.x) * x_2;
    sum_5_0 = sum_5_0 + vec4f(d_0_6.y) * x_2;
    sum_6_0 = sum_6_0 + vec4f(d_0_6.z) * x_2;
    sum_7_0 = sum_7_0 + vec4f(d_0_6.w) * x_2;
    sum_0_0 = sum_0_0 + vec4f(d_0_3.x) * x_3;
    sum_1_0 = sum_1_0 + vec4f(d_0_3.y) * x_3;
    sum_2_0 = sum_2_0 + vec4f(d_0_3.z) * x_3;
    sum_3_0 = sum_3_0 + vec4f(d_0_3.w) * x_3;
    sum_4_0 = sum_4_0 + vec4f(d_0_7.x) * x_3;
    sum_5_0 = sum_5_0 + vec4f(d_0_7.y) * x_3;
    sum_6_0 = sum_6_0 + vec4f(d_0_7.z) * x_3;
    sum_7_0 = sum_7_0 + vec4f(d_0_7.w) * x_3;
    sum_0_0 = sum_0_0 + vec4f(d_0_4.x) * x_4;
    sum_1_0 = sum_1_0 + vec4f(d_0_4.y) * x_4;
    sum_2_0 = sum_2_0 + vec4f(d_0_4.z) * x_4;
    sum_3_0 = sum_3_0 + vec4f(d_0_4.w) * x_4;
    sum_4_0 = sum_4_0 + vec4f(d_0_8.x) * x_4;
    sum_5_0 = sum_5_0 + vec4f(d_0_8.y) * x_4;
    sum_6_0 = sum_6_0 + vec4f(d_0_8.z) * x_4;
    sum_7_0 = sum_7_0 + vec4f(d_0_8.w) * x_4;
  }
  for (var k_1: u32 = main_k; k_1 < size_k; k_1 += 1u) {
    let d_0_9 = d_0[(k_1 * 8u + tile_m) / 4u];
    let d_0_10 = d_0[(k_1 * 8u + m4) / 4u];
    let x_5 = x[(k_1 * 8u + n0) / 4u];
    sum_0_0 = sum_0_0 + vec4f(d_0_9.x) * x_5;
    sum_1_0 = sum_1_0 + vec4f(d_0_9.y) * x_5;
    sum_2_0 = sum_2_0 + vec4f(d_0_9.z) * x_5;
    sum_3_0 = sum_3_0 + vec4f(d_0_9.w) * x_5;
    sum_4_0 = sum_4_0 + vec4f(d_0_10.x) * x_5;
    sum_5_0 = sum_5_0 + vec4f(d_0_10.y) * x_5;
    sum_6_0 = sum_6_0 + vec4f(d_0_10.z) * x_5;
    sum_7_0 = sum_7_0 + vec4f(d_0_10.w) * x_5;
  }
  let at = tile_m * 8u + n0;
  d_layers_out[at / 4u] = sum_0_0 + d_layers_out[at / 4u];
  let at_1 = (tile_m + 1u) * 8u + n0;
  d_layers_out[at_1 / 4u] = sum_1_0 + d_layers_out[at_1 / 4u];
  let at_2 = (tile_m + 2u) * 8u + n0;
  d_layers_out[at_2 / 4u] = sum_2_0 + d_layers_out[at_2 / 4u];
  let at_3 = (tile_m + 3u) * 8u + n0;
  d_layers_out[at_3 / 4u] = sum_3_0 + d_layers_out[at_3 / 4u];
  let at_4 = m4 * 8u + n0;
  d_layers_out[at_4 / 4u] = sum_4_0 + d_layers_out[at_4 / 4u];
  let at_5 = (m4 + 1u) * 8u + n0;
  d_layers_out[at_5 / 4u] = sum_5_0 + d_layers_out[at_5 / 4u];
  let at_6 = (m4 + 2u) * 8u + n0;
  d_layers_out[at_6 / 4u] = sum_6_0 + d_layers_out[at_6 / 4u];
  let at_7 = (m4 + 3u) * 8u + n0;
  d_layers_out[at_7 / 4u] = sum_7_0 + d_layers_out[at_7 / 4u];
}
