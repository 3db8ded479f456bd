// @head.bwd, ir/4-fuse.ebb:89-91: 128·B FLOP, 64·B + 256 bytes bound
// dot_d_x

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> d_head_1: array<vec4f>;
@group(0) @binding(2) var<storage, read> head: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> d_x_out: array<vec4f>;

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
  var sum_0_0: vec4f = vec4f(0.0);
  var sum_1_0: vec4f = vec4f(0.0);
  var sum_2_0: vec4f = vec4f(0.0);
  var sum_3_0: vec4f = vec4f(0.0);
  for (var k: u32 = 0u; k < 8u; k += 4u) {
    let d_head_1_1 = d_head_1[(a_index0 * 8u + k) / 4u];
    let d_head_1_2 = d_head_1[(a_index1 * 8u + k) / 4u];
    let d_head_1_3 = d_head_1[(a_index2 * 8u + k) / 4u];
    let d_head_1_4 = d_head_1[(a_index3 * 8u + k) / 4u];
    let head_1 = head[(k * 8u + n0) / 4u];
    let head_2 = head[((k + 1u) * 8u + n0) / 4u];
    let head_3 = head[((k + 2u) * 8u + n0) / 4u];
    let head_4 = head[((k + 3u) * 8u + n0) / 4u];
    sum_0_0 = sum_0_0 + vec4f(d_head_1_1.x) * head_1;
    sum_1_0 = sum_1_0 + vec4f(d_head_1_2.x) * head_1;
    sum_2_0 = sum_2_0 + vec4f(d_head_1_3.x) * head_1;
    sum_3_0 = sum_3_0 + vec4f(d_head_1_4.x) * head_1;
    sum_0_0 = sum_0_0 + vec4f(d_head_1_1.y) * head_2;
    sum_1_0 = sum_1_0 + vec4f(d_head_1_2.y) * head_2;
    sum_2_0 = sum_2_0 + vec4f(d_head_1_3.y) * head_2;
    sum_3_0 = sum_3_0 + vec4f(d_head_1_4.y) * head_2;
    sum_0_0 = sum_0_0 + vec4f(d_head_1_1.z) * head_3;
    sum_1_0 = sum_1_0 + vec4f(d_head_1_2.z) * head_3;
    sum_2_0 = sum_2_0 + vec4f(d_head_1_3.z) * head_3;
    sum_3_0 = sum_3_0 + vec4f(d_head_1_4.z) * head_3;
    sum_0_0 = sum_0_0 + vec4f(d_head_1_1.w) * head_4;
    sum_1_0 = sum_1_0 + vec4f(d_head_1_2.w) * head_4;
    sum_2_0 = sum_2_0 + vec4f(d_head_1_3.w) * head_4;
    sum_3_0 = sum_3_0 + vec4f(d_head_1_4.w) * head_4;
  }
  if (tile_m < size_m) {
    let at = tile_m * 8u + n0;
    d_x_out[at / 4u] = sum_0_0;
  }
  if (tile_m + 1u < size_m) {
    let at_1 = (tile_m + 1u) * 8u + n0;
    d_x_out[at_1 / 4u] = sum_1_0;
  }
  if (tile_m + 2u < size_m) {
    let at_2 = (tile_m + 2u) * 8u + n0;
    d_x_out[at_2 / 4u] = sum_2_0;
  }
  if (tile_m + 3u < size_m) {
    let at_3 = (tile_m + 3u) * 8u + n0;
    d_x_out[at_3 / 4u] = sum_3_0;
  }
}
