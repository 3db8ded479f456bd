// @head.fwd, ir/4-fuse.ebb:60-62: 128·B FLOP, 64·B + 256 bytes bound
// dot_head_1

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> head: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> head_1_out: array<vec4f>;

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
    let x_1 = x[(a_index0 * 8u + k) / 4u];
    let x_2 = x[(a_index1 * 8u + k) / 4u];
    let x_3 = x[(a_index2 * 8u + k) / 4u];
    let x_4 = x[(a_index3 * 8u + k) / 4u];
    let head_1 = head[(n0 * 8u + k) / 4u];
    let head_2 = head[((n0 + 1u) * 8u + k) / 4u];
    let head_3 = head[((n0 + 2u) * 8u + k) / 4u];
    let head_4 = head[((n0 + 3u) * 8u + k) / 4u];
    sum_0_0 = sum_0_0 + dot(x_1, head_1);
    sum_0_1 = sum_0_1 + dot(x_1, head_2);
    sum_0_2 = sum_0_2 + dot(x_1, head_3);
    sum_0_3 = sum_0_3 + dot(x_1, head_4);
    sum_1_0 = sum_1_0 + dot(x_2, head_1);
    sum_1_1 = sum_1_1 + dot(x_2, head_2);
    sum_1_2 = sum_1_2 + dot(x_2, head_3);
    sum_1_3 = sum_1_3 + dot(x_2, head_4);
    sum_2_0 = sum_2_0 + dot(x_3, head_1);
    sum_2_1 = sum_2_1 + dot(x_3, head_2);
    sum_2_2 = sum_2_2 + dot(x_3, head_3);
    sum_2_3 = sum_2_3 + dot(x_3, head_4);
    sum_3_0 = sum_3_0 + dot(x_4, head_1);
    sum_3_1 = sum_3_1 + dot(x_4, head_2);
    sum_3_2 = sum_3_2 + dot(x_4, head_3);
    sum_3_3 = sum_3_3 + dot(x_4, head_4);
  }
  if (tile_m < size_m) {
    let at = tile_m * 8u + n0;
    head_1_out[at / 4u] = vec4f(sum_0_0, sum_0_1, sum_0_2, sum_0_3);
  }
  if (tile_m + 1u < size_m) {
    let at_1 = (tile_m + 1u) * 8u + n0;
    head_1_out[at_1 / 4u] = vec4f(sum_1_0, sum_1_1, sum_1_2, sum_1_3);
  }
  if (tile_m + 2u < size_m) {
    let at_2 = (tile_m + 2u) * 8u + n0;
    head_1_out[at_2 / 4u] = vec4f(sum_2_0, sum_2_1, sum_2_2, sum_2_3);
  }
  if (tile_m + 3u < size_m) {
    let at_3 = (tile_m + 3u) * 8u + n0;
    head_1_out[at_3 / 4u] = vec4f(sum_3_0, sum_3_1, sum_3_2, sum_3_3);
  }
}
