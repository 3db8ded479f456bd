// @embed.bwd.nodx, ir/4-fuse.ebb:12-14: 128·B FLOP, 64·B + 256 bytes bound
// dot_d_embed_add

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> d_embed_1: array<vec4f>;
@group(0) @binding(2) var<storage, read> features: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> d_embed_out: array<vec4f>;

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
    let d_embed_1_1 = d_embed_1[(k * 8u + tile_m) / 4u];
    let d_embed_1_2 = d_embed_1[((k + 1u) * 8u + tile_m) / 4u];
    let d_embed_1_3 = d_embed_1[((k + 2u) * 8u + tile_m) / 4u];
    let d_embed_1_4 = d_embed_1[((k + 3u) * 8u + tile_m) / 4u];
    let d_embed_1_5 = d_embed_1[(k * 8u + m4) / 4u];
    let d_embed_1_6 = d_embed_1[((k + 1u) * 8u + m4) / 4u];
    let d_embed_1_7 = d_embed_1[((k + 2u) * 8u + m4) / 4u];
    let d_embed_1_8 = d_embed_1[((k + 3u) * 8u + m4) / 4u];
    let features_1 = features[(k * 8u + n0) / 4u];
    let features_2 = features[((k + 1u) * 8u + n0) / 4u];
    let features_3 = features[((k + 2u) * 8u + n0) / 4u];
    let features_4 = features[((k + 3u) * 8u + n0) / 4u];
    sum_0_0 = sum_0_0 + vec4f(d_embed_1_1.x) * features_1;
    sum_1_0 = sum_1_0 + vec4f(d_embed_1_1.y) * features_1;
    sum_2_0 = sum_2_0 + vec4f(d_embed_1_1.z) * features_1;
    sum_3_0 = sum_3_0 + vec4f(d_embed_1_1.w) * features_1;
    sum_4_0 = sum_4_0 + vec4f(d_embed_1_5.x) * features_1;
    sum_5_0 = sum_5_0 + vec4f(d_embed_1_5.y) * features_1;
    sum_6_0 = sum_6_0 + vec4f(d_embed_1_5.z) * features_1;
    sum_7_0 = sum_7_0 + vec4f(d_embed_1_5.w) * features_1;
    sum_0_0 = sum_0_0 + vec4f(d_embed_1_2.x) * features_2;
    sum_1_0 = sum_1_0 + vec4f(d_embed_1_2.y) * features_2;
    sum_2_0 = sum_2_0 + vec4f(d_embed_1_2.z) * features_2;
    sum_3_0 = sum_3_0 + vec4f(d_embed_1_2.w) * features_2;
    sum_4_0 = sum_4_0 + vec4f(d_embed_1_6.x) * features_2;
    sum_5_0 = sum_5_0 + vec4f(d_embed_1_6.y) * features_2;
    sum_6_0 = sum_6_0 + vec4f(d_embed_1_6.z) * features_2;
    sum_7_0 = sum_7_0 + vec4f(d_embed_1_6.w) * features_2;
    sum_0_0 = sum_0_0 + vec4f(d_embed_1_3.x) * features_3;
    sum_1_0 = sum_1_0 + vec4f(d_embed_1_3.y) * features_3;
    sum_2_0 = sum_2_0 + vec4f(d_embed_1_3.z) * features_3;
    sum_3_0 = sum_3_0 + vec4f(d_embed_1_3.w) * features_3;
    sum_4_0 = sum_4_0 + vec4f(d_embed_1_7.x) * features_3;
    sum_5_0 = sum_5_0 + vec4f(d_embed_1_7.y) * features_3;
    sum_6_0 = sum_6_0 + vec4f(d_embed_1_7.z) * features_3;
    sum_7_0 = sum_7_0 + vec4f(d_embed_1_7.w) * features_3;
    sum_0_0 = sum_0_0 + vec4f(d_embed_1_4.x) * features_4;
    sum_1_0 = sum_1_0 + vec4f(d_embed_1_4.y) * features_4;
    sum_2_0 = sum_2_0 + vec4f(d_embed_1_4.z) * features_4;
    sum_3_0 = sum_3_0 + vec4f(d_embed_1_4.w) * features_4;
    sum_4_0 = sum_4_0 + vec4f(d_embed_1_8.x) * features_4;
    sum_5_0 = sum_5_0 + vec4f(d_embed_1_8.y) * features_4;
    sum_6_0 = sum_6_0 + vec4f(d_embed_1_8.z) * features_4;
    sum_7_0 = sum_7_0 + vec4f(d_embed_1_8.w) * features_4;
  }
  for (var k_1: u32 = main_k; k_1 < size_k; k_1 += 1u) {
    let d_embed_1_9 = d_embed_1[(k_1 * 8u + tile_m) / 4u];
    let d_embed_1_10 = d_embed_1[(k_1 * 8u + m4) / 4u];
    let features_5 = features[(k_1 * 8u + n0) / 4u];
    sum_0_0 = sum_0_0 + vec4f(d_embed_1_9.x) * features_5;
    sum_1_0 = sum_1_0 + vec4f(d_embed_1_9.y) * features_5;
    sum_2_0 = sum_2_0 + vec4f(d_embed_1_9.z) * features_5;
    sum_3_0 = sum_3_0 + vec4f(d_embed_1_9.w) * features_5;
    sum_4_0 = sum_4_0 + vec4f(d_embed_1_10.x) * features_5;
    sum_5_0 = sum_5_0 + vec4f(d_embed_1_10.y) * features_5;
    sum_6_0 = sum_6_0 + vec4f(d_embed_1_10.z) * features_5;
    sum_7_0 = sum_7_0 + vec4f(d_embed_1_10.w) * features_5;
  }
  let at = tile_m * 8u + n0;
  d_embed_out[at / 4u] = sum_0_0 + d_embed_out[at / 4u];
  let at_1 = (tile_m + 1u) * 8u + n0;
  d_embed_out[at_1 / 4u] = sum_1_0 + d_embed_out[at_1 / 4u];
  let at_2 = (tile_m + 2u) * 8u + n0;
  d_embed_out[at_2 / 4u] = sum_2_0 + d_embed_out[at_2 / 4u];
  let at_3 = (tile_m + 3u) * 8u + n0;
  d_embed_out[at_3 / 4u] = sum_3_0 + d_embed_out[at_3 / 4u];
  let at_4 = m4 * 8u + n0;
  d_embed_out[at_4 / 4u] = sum_4_0 + d_embed_out[at_4 / 4u];
  let at_5 = (m4 + 1u) * 8u + n0;
  d_embed_out[at_5 / 4u] = sum_5_0 + d_embed_out[at_5 / 4u];
  let at_6 = (m4 + 2u) * 8u + n0;
  d_embed_out[at_6 / 4u] = sum_6_0 + d_embed_out[at_6 / 4u];
  let at_7 = (m4 + 3u) * 8u + n0;
  d_embed_out[at_7 / 4u] = sum_7_0 + d_embed_out[at_7 / 4u];
}
