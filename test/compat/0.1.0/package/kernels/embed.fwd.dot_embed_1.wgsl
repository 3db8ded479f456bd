// @embed.fwd, ir/4-fuse.ebb:5-7: 128·B FLOP, 64·B + 256 bytes bound
// dot_embed_1

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read> features: array<vec4f>;
@group(0) @binding(2) var<storage, read> embed: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> embed_1_out: array<vec4f>;

@compute @workgroup_size(2, 1, 1)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let size_m = params[0][0] /* B */;
  let tile_m = workgroup.y * 4u;
  let tile_n = workgroup.x * 8u;
  let n0 = tile_n + local.x * 4u;
  let a_index0 = min(tile_m, size_m - 1u);
  let a_index1 = min(tile_m + 1u, size_m - 1u);
  let a_index2 = min(tile_m + 2u, size_m - 1u);
  let a_index3 = min(tile_m + 3u, size_m - 1u);
  var sum_0_0: f32 = 0.0;
  var sum_0_1: f32 = 0.0;
  var sum_0_2: f32 = 0.0;
  var sum_0_3: f32 = 0.0;
  var sum_1_0: f32 = 0.0;
  var sum_1_1: f32 = 0.0;
  var sum_1_2: f32 = 0.0;
  var sum_1_3: f32 = 0.0;
  var sum_2_0: f32 = 0.0;
  var sum_2_1: f32 = 0.0;
  var sum_2_2: f32 = 0.0;
  var sum_2_3: f32 = 0.0;
  var sum_3_0: f32 = 0.0;
  var sum_3_1: f32 = 0.0;
  var sum_3_2: f32 = 0.0;
  var sum_3_3: f32 = 0.0;
  for (var k: u32 = 0u; k < 8u; k += 4u) {
    let features_1 = features[(a_index0 * 8u + k) / 4u];
    let features_2 = features[(a_index1 * 8u + k) / 4u];
    let features_3 = features[(a_index2 * 8u + k) / 4u];
    let features_4 = features[(a_index3 * 8u + k) / 4u];
    let embed_1 = embed[(n0 * 8u + k) / 4u];
    let embed_2 = embed[((n0 + 1u) * 8u + k) / 4u];
    let embed_3 = embed[((n0 + 2u) * 8u + k) / 4u];
    let embed_4 = embed[((n0 + 3u) * 8u + k) / 4u];
    sum_0_0 = sum_0_0 + dot(features_1, embed_1);
    sum_0_1 = sum_0_1 + dot(features_1, embed_2);
    sum_0_2 = sum_0_2 + dot(features_1, embed_3);
    sum_0_3 = sum_0_3 + dot(features_1, embed_4);
    sum_1_0 = sum_1_0 + dot(features_2, embed_1);
    sum_1_1 = sum_1_1 + dot(features_2, embed_2);
    sum_1_2 = sum_1_2 + dot(features_2, embed_3);
    sum_1_3 = sum_1_3 + dot(features_2, embed_4);
    sum_2_0 = sum_2_0 + dot(features_3, embed_1);
    sum_2_1 = sum_2_1 + dot(features_3, embed_2);
    sum_2_2 = sum_2_2 + dot(features_3, embed_3);
    sum_2_3 = sum_2_3 + dot(features_3, embed_4);
    sum_3_0 = sum_3_0 + dot(features_4, embed_1);
    sum_3_1 = sum_3_1 + dot(features_4, embed_2);
    sum_3_2 = sum_3_2 + dot(features_4, embed_3);
    sum_3_3 = sum_3_3 + dot(features_4, embed_4);
  }
  if (tile_m < size_m) {
    let at = tile_m * 8u + n0;
    embed_1_out[at / 4u] = vec4f(sum_0_0, sum_0_1, sum_0_2, sum_0_3);
  }
  if (tile_m + 1u < size_m) {
    let at_1 = (tile_m + 1u) * 8u + n0;
    embed_1_out[at_1 / 4u] = vec4f(sum_1_0, sum_1_1, sum_1_2, sum_1_3);
  }
  if (tile_m + 2u < size_m) {
    let at_2 = (tile_m + 2u) * 8u + n0;
    embed_1_out[at_2 / 4u] = vec4f(sum_2_0, sum_2_1, sum_2_2, sum_2_3);
  }
  if (tile_m + 3u < size_m) {
    let at_3 = (tile_m + 3u) * 8u + n0;
    embed_1_out[at_3 / 4u] = vec4f(sum_3_0, sum_3_1, sum_3_2, sum_3_3);
  }
}
