// @layers.bwd, ir/4-fuse.ebb:49-52: 136·B FLOP, 64·B + 256 bytes bound
// dot_d_x

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> d_0: array<vec4f>;
@group(0) @binding(2) var<storage, read> layers: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> d_y: array<vec4f>;

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
    let d_0_1 = d_0[(a_index0 * 8u + k) / 4u];
    let d_0_2 = d_0[(a_index1 * 8u + k) / 4u];
    let d_0_3 = d_0[(a_index2 * 8u + k) / 4u];
    let d_0_4 = d_0[(a_index3 * 8u + k) / 4u];
    let layers_1 = layers[(k * 8u + n0) / 4u];
    let layers_2 = layers[((k + 1u) * 8u + n0) / 4u];
    let layers_3 = layers[((k + 2u) * 8u + n0) / 4u];
    let layers_4 = layers[((k + 3u) * 8u + n0) / 4u];
    sum_0_0 = sum_0_0 + vec4f(d_0_1.x) * layers_1;
    sum_1_0 = sum_1_0 + vec4f(d_0_2.x) * layers_1;
    sum_2_0 = sum_2_0 + vec4f(d_0_3.x) * layers_1;
    sum_3_0 = sum_3_0 + vec4f(d_0_4.x) * layers_1;
    sum_0_0 = sum_0_0 + vec4f(d_0_1.y) * layers_2;
    sum_1_0 = sum_1_0 + vec4f(d_0_2.y) * layers_2;
    sum_2_0 = sum_2_0 + vec4f(d_0_3.y) * layers_2;
    sum_3_0 = sum_3_0 + vec4f(d_0_4.y) * layers_2;
    sum_0_0 = sum_0_0 + vec4f(d_0_1.z) * layers_3;
    sum_1_0 = sum_1_0 + vec4f(d_0_2.z) * layers_3;
    sum_2_0 = sum_2_0 + vec4f(d_0_3.z) * layers_3;
    sum_3_0 = sum_3_0 + vec4f(d_0_4.z) * layers_3;
    sum_0_0 = sum_0_0 + vec4f(d_0_1.w) * layers_4;
    sum_1_0 = sum_1_0 + vec4f(d_0_2.w) * layers_4;
    sum_2_0 = sum_2_0 + vec4f(d_0_3.w) * layers_4;
    sum_3_0 = sum_3_0 + vec4f(d_0_4.w) * layers_4;
  }
  if (tile_m < size_m) {
    let at = tile_m * 8u + n0;
    let d_y_1 = d_y[at / 4u];
    let d_x = d_y_1 + sum_0_0;
    d_y[at / 4u] = d_x;
  }
  if (tile_m + 1u < size_m) {
    let at_1 = (tile_m + 1u) * 8u + n0;
    let d_y_2 = d_y[at_1 / 4u];
    let d_x_1 = d_y_2 + sum_1_0;
    d_y[at_1 / 4u] = d_x_1;
  }
  if (tile_m + 2u < size_m) {
    let at_2 = (tile_m + 2u) * 8u + n0;
    let d_y_3 = d_y[at_2 / 4u];
    let d_x_2 = d_y_3 + sum_2_0;
    d_y[at_2 / 4u] = d_x_2;
  }
  if (tile_m + 3u < size_m) {
    let at_3 = (tile_m + 3u) * 8u + n0;
    let d_y_4 = d_y[at_3 / 4u];
    let d_x_3 = d_y_4 + sum_3_0;
    d_y[at_3 / 4u] = d_x_3;
  }
}
