// @layers.fwd, ir/4-fuse.ebb:19-28: 200·B FLOP, 96·B + 256 bytes bound
// dot_0_y

@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 16>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> layers: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v0_out: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y_out: array<vec4f>;

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
    let layers_1 = layers[(n0 * 8u + k) / 4u];
    let layers_2 = layers[((n0 + 1u) * 8u + k) / 4u];
    let layers_3 = layers[((n0 + 2u) * 8u + k) / 4u];
    let layers_4 = layers[((n0 + 3u) * 8u + k) / 4u];
    sum_0_0 = sum_0_0 + dot(x_1, layers_1);
    sum_0_1 = sum_0_1 + dot(x_1, layers_2);
    sum_0_2 = sum_0_2 + dot(x_1, layers_3);
    sum_0_3 = sum_0_3 + dot(x_1, layers_4);
    sum_1_0 = sum_1_0 + dot(x_2, layers_1);
    sum_1_1 = sum_1_1 + dot(x_2, layers_2);
    sum_1_2 = sum_1_2 + dot(x_2, layers_3);
    sum_1_3 = sum_1_3 + dot(x_2, layers_4);
    sum_2_0 = sum_2_0 + dot(x_3, layers_1);
    sum_2_1 = sum_2_1 + dot(x_3, layers_2);
    sum_2_2 = sum_2_2 + dot(x_3, layers_3);
    sum_2_3 = sum_2_3 + dot(x_3, layers_4);
    sum_3_0 = sum_3_0 + dot(x_4, layers_1);
    sum_3_1 = sum_3_1 + dot(x_4, layers_2);
    sum_3_2 = sum_3_2 + dot(x_4, layers_3);
    sum_3_3 = sum_3_3 + dot(x_4, layers_4);
  }
  if (tile_m < size_m) {
    let at = tile_m * 8u + n0;
    let x_5 = x[at / 4u];
    let neg = -vec4f(sum_0_0, sum_0_1, sum_0_2, sum_0_3);
    let exp_1 = exp(neg);
    let add = vec4f(1.0) + exp_1;
    let div = vec4f(1.0) / add;
    let silu = vec4f(sum_0_0, sum_0_1, sum_0_2, sum_0_3) * div;
    let y = x_5 + silu;
    v0_out[at / 4u] = vec4f(sum_0_0, sum_0_1, sum_0_2, sum_0_3);
    y_out[at / 4u] = y;
  }
  if (tile_m + 1u < size_m) {
    let at_1 = (tile_m + 1u) * 8u + n0;
    let x_6 = x[at_1 / 4u];
    let neg_1 = -vec4f(sum_1_0, sum_1_1, sum_1_2, sum_1_3);
    let exp_2 = exp(neg_1);
    let add_1 = vec4f(1.0) + exp_2;
    let div_1 = vec4f(1.0) / add_1;
    let silu_1 = vec4f(sum_1_0, sum_1_1, sum_1_2, sum_1_3) * div_1;
    let y_1 = x_6 + silu_1;
    v0_out[at_1 / 4u] = vec4f(sum_1_0, sum_1_1, sum_1_2, sum_1_3);
    y_out[at_1 / 4u] = y_1;
  }
  if (tile_m + 2u < size_m) {
    let at_2 = (tile_m + 2u) * 8u + n0;
    let x_7 = x[at_2 / 4u];
    let neg_2 = -vec4f(sum_2_0, sum_2_1, sum_2_2, sum_2_3);
    let exp_3 = exp(neg_2);
    let add_2 = vec4f(1.0) + exp_3;
    let div_2 = vec4f(1.0) / add_2;
    let silu_2 = vec4f(sum_2_0, sum_2_1, sum_2_2, sum_2_3) * div_2;
    let y_2 = x_7 + silu_2;
    v0_out[at_2 / 4u] = vec4f(sum_2_0, sum_2_1, sum_2_2, sum_2_3);
    y_out[at_2 / 4u] = y_2;
  }
  if (tile_m + 3u < size_m) {
    let at_3 = (tile_m + 3u) * 8u + n0;
    let x_8 = x[at_3 / 4u];
    let neg_3 = -vec4f(sum_3_0, sum_3_1, sum_3_2, sum_3_3);
    let exp_4 = exp(neg_3);
    let add_3 = vec4f(1.0) + exp_4;
    let div_3 = vec4f(1.0) / add_3;
    let silu_3 = vec4f(sum_3_0, sum_3_1, sum_3_2, sum_3_3) * div_3;
    let y_3 = x_8 + silu_3;
    v0_out[at_3 / 4u] = vec4f(sum_3_0, sum_3_1, sum_3_2, sum_3_3);
    y_out[at_3 / 4u] = y_3;
  }
}
