// The lattice as two TensorFlow ops, CrfrnnLattice and CrfrnnFilter, for tf.load_op_library.
//
// A separate small library that contains no TensorFlow header and is not linked to TensorFlow: what it needs of its C
// interface, tensorflow.h looks up in the TensorFlow that loads it. So one file serves every TensorFlow version.
// The numerical work is in the library beside it, c_api.h.
#if !defined(_WIN32)

#include <dlfcn.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "c_api.h"
#include "tensorflow.h"

namespace {

using namespace crfrnn::tensorflow;

// ---- The library beside this one -------------------------------------------------------------------------------

decltype(&crfrnn_build) build_lattice;
decltype(&crfrnn_write_chains) write_chains;
decltype(&crfrnn_delete_neighbours) delete_neighbours;
decltype(&crfrnn_check_lattice) check_lattice;
decltype(&crfrnn_filter) filter_values;

bool find_lattice() {
  Dl_info own;
  if (!dladdr(reinterpret_cast<void*>(&find_lattice), &own)) return false;
  const std::string folder = std::string(own.dli_fname).substr(0, std::string(own.dli_fname).rfind('/') + 1);
  for (const char* name : {"libcrfrnn.so", "libcrfrnn.dylib"})
    if (void* handle = dlopen((folder + name).c_str(), RTLD_LAZY | RTLD_LOCAL)) {
      const auto look_up = [handle](auto& function, const char* symbol) {
        function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, symbol));
        return function != nullptr;
      };
      return look_up(build_lattice, "crfrnn_build") && look_up(write_chains, "crfrnn_write_chains") &&
             look_up(delete_neighbours, "crfrnn_delete_neighbours") &&
             look_up(check_lattice, "crfrnn_check_lattice") && look_up(filter_values, "crfrnn_filter");
    }
  return false;
}

void fail(TF_OpKernelContext* context, const std::string& message, int failure = crfrnn::kInvalid) {
  Status status;
  tf.SetStatus(status, failure == crfrnn::kOutOfMemory ? kResourceExhausted : kInvalidArgument, message.c_str());
  tf.OpKernelContext_Failure(context, status);
}

std::string text(const Tensor& tensor) {
  std::string result = "(";
  for (int64_t size : tensor.shape()) result += (result.size() > 1 ? ", " : "") + std::to_string(size);
  return result + ")";
}

// ---- CrfrnnLattice: positions (B, N, F) -> the arrays of a lattice -----------------------------------------------

enum LatticeArray { kVertexIds, kWeights, kChains, kChainSplits, kSeen, kLatticeArrays };

void compute_lattice(void*, TF_OpKernelContext* context) {
  Tensor positions;
  if (!positions.get_input(context, 0)) return fail(context, "positions: cannot be read");
  if (positions.rank() != 3)
    return fail(context, "positions: expected shape (B, N, F), received " + text(positions));

  const int64_t batch = positions.size(0), points = positions.size(1), features = positions.size(2);
  Tensor outputs[kLatticeArrays];
  const auto allocate = [&](int output, int type, std::vector<int64_t> shape) {
    return outputs[output].allocate_output(context, output, type, std::move(shape));
  };
  if (!allocate(kVertexIds, kInt32, {batch, points, features + 1}) ||
      !allocate(kWeights, kFloat, {batch, points, features + 1}) ||
      !allocate(kChainSplits, kInt64, {features + 2}) || !allocate(kSeen, kInt64, {crfrnn::kParts + 1}))
    return fail(context, "out of memory", crfrnn::kOutOfMemory);
  int64_t* const splits = outputs[kChainSplits].data<int64_t>();

  char message[1024];
  crfrnn::Neighbours* neighbours;
  int failure = build_lattice(positions.data<float>(), batch, points, features, outputs[kVertexIds].data<int32_t>(),
                              outputs[kWeights].data<float>(), splits, outputs[kSeen].data<int64_t>(), &neighbours,
                              message, sizeof(message));
  if (failure) return fail(context, message, failure);
  if (allocate(kChains, kInt32, {splits[features + 1]}))
    failure = write_chains(neighbours, splits, outputs[kChains].data<int32_t>(), message, sizeof(message));
  else
    std::strcpy(message, "out of memory"), failure = crfrnn::kOutOfMemory;
  delete_neighbours(neighbours);
  if (failure) fail(context, message, failure);
}

void infer_lattice(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle *positions = tf.NewShapeHandle(), *points = tf.NewShapeHandle(), *corners = tf.NewShapeHandle();
  TF_DimensionHandle* features = tf.NewDimensionHandle();
  tf.ShapeInferenceContextSetUnknownShape(context, status);
  tf.ShapeInferenceContextGetInput(context, 0, positions, status);
  tf.ShapeInferenceContextWithRank(context, positions, 3, positions, status);
  if (tf.GetCode(status) == kOk && tf.ShapeInferenceContextRankKnown(context, positions)) {
    tf.ShapeInferenceContextDim(context, positions, 2, features);
    if (tf.DimensionHandleValueKnown(features)) {
      const int64_t F = tf.DimensionHandleValue(features);
      tf.ShapeInferenceContextSubshape(context, positions, 0, 2, points, status);
      TF_ShapeHandle* last = tf.ShapeInferenceContextVectorFromSize(context, F + 1);
      tf.ShapeInferenceContextConcatenateShapes(context, points, last, corners, status);
      tf.ShapeInferenceContextSetOutput(context, kVertexIds, corners, status);
      tf.ShapeInferenceContextSetOutput(context, kWeights, corners, status);
      tf.DeleteShapeHandle(last);
      TF_ShapeHandle* splits = tf.ShapeInferenceContextVectorFromSize(context, F + 2);
      tf.ShapeInferenceContextSetOutput(context, kChainSplits, splits, status);
      tf.DeleteShapeHandle(splits);
      TF_ShapeHandle* seen = tf.ShapeInferenceContextVectorFromSize(context, crfrnn::kParts + 1);
      tf.ShapeInferenceContextSetOutput(context, kSeen, seen, status);
      tf.DeleteShapeHandle(seen);
    }
  }
  tf.DeleteDimensionHandle(features);
  for (TF_ShapeHandle* handle : {positions, points, corners}) tf.DeleteShapeHandle(handle);
}

// ---- CrfrnnFilter: values (B, N, C) and a lattice -> filtered values -------------------------------------------

void* create_filter(TF_OpKernelConstruction* construction) {
  Status status;
  auto* transposed = new unsigned char{0};
  tf.OpKernelConstruction_GetAttrBool(construction, "transposed", transposed, status);
  return transposed;
}
void delete_filter(void* transposed) { delete static_cast<unsigned char*>(transposed); }

void compute_filter(void* transposed, TF_OpKernelContext* context) {
  enum Input { kValues, kScaleIn, kScaleOut, kFirstOfLattice };
  Tensor inputs[kFirstOfLattice + kLatticeArrays];
  for (int i = 0; i < kFirstOfLattice + kLatticeArrays; ++i)
    if (!inputs[i].get_input(context, i)) return fail(context, "an input cannot be read");
  const Tensor& values = inputs[kValues];
  const Tensor* arrays = inputs + kFirstOfLattice;
  const Tensor& vertex_ids = arrays[kVertexIds];
  if (values.rank() != 3) return fail(context, "values: expected shape (B, N, C), received " + text(values));
  const bool fits = vertex_ids.rank() == 3 && vertex_ids.size(1) == values.size(1) &&
                    (vertex_ids.size(0) == values.size(0) || vertex_ids.size(0) == 1);
  if (!fits)
    return fail(context, "values: expected the B and N of the positions (or positions with B = 1), received values of "
                         "shape " + text(values) + " and a lattice with vertex_ids of shape " + text(vertex_ids));
  const int64_t points = vertex_ids.size(0) * vertex_ids.size(1), batch = values.size(0), corners = vertex_ids.size(2);
  const bool is_lattice = corners >= 2 && corners <= crfrnn::kMaxFeatures + 1 &&
                          arrays[kWeights].shape() == vertex_ids.shape() && arrays[kChains].rank() == 1 &&
                          arrays[kChainSplits].shape() == std::vector<int64_t>{corners + 1} &&
                          arrays[kSeen].shape() == std::vector<int64_t>{crfrnn::kParts + 1};
  if (!is_lattice)
    return fail(context, "Expected a lattice as CrfrnnLattice makes it, with weights of the shape of vertex_ids. "
                         "Received arrays of shapes " + text(vertex_ids) + ", " + text(arrays[kWeights]) + ", " +
                             text(arrays[kChains]) + ", " + text(arrays[kChainSplits]) + ", " + text(arrays[kSeen]));
  for (int i : {kScaleIn, kScaleOut})
    if (inputs[i].elements() != 0 && inputs[i].elements() != points)
      return fail(context, std::string(i == kScaleIn ? "scale_in" : "scale_out") + ": expected shape (" +
                               std::to_string(vertex_ids.size(0)) + ", " + std::to_string(vertex_ids.size(1)) +
                               ", 1) or none, received " + text(inputs[i]));
  Tensor out;
  if (!out.allocate_output(context, 0, kFloat, values.shape())) return fail(context, "out of memory", crfrnn::kOutOfMemory);
  if (values.elements() == 0) return;

  const crfrnn::Lattice lattice{points,
                                vertex_ids.size(2) - 1,
                                vertex_ids.data<int32_t>(),
                                arrays[kWeights].data<float>(),
                                arrays[kChains].data<int32_t>(),
                                arrays[kChainSplits].data<int64_t>(),
                                arrays[kSeen].data<int64_t>()};
  char message[1024];
  int failure = check_lattice(&lattice, arrays[kChains].size(0), message, sizeof(message));
  if (!failure)
    failure = filter_values(&lattice, values.data<float>(), batch / vertex_ids.size(0), values.size(2),
                            inputs[kScaleIn].data_or_null(), inputs[kScaleOut].data_or_null(),
                            *static_cast<unsigned char*>(transposed), out.data<float>(), message, sizeof(message));
  if (failure) fail(context, message, failure);
}

void infer_filter(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle* values = tf.NewShapeHandle();
  tf.ShapeInferenceContextGetInput(context, 0, values, status);
  tf.ShapeInferenceContextSetOutput(context, 0, values, status);
  tf.DeleteShapeHandle(values);
}

// ---- Registration ----------------------------------------------------------------------------------------------

#define CRFRNN_LATTICE_ARRAYS                                                                      \
  "vertex_ids: int32", "weights: float", "chains: int32", "chain_splits: int64", "seen: int64"

void register_op(const char* name, std::initializer_list<const char*> inputs, std::initializer_list<const char*> outputs,
                 std::initializer_list<const char*> attributes,
                 void (*infer)(TF_ShapeInferenceContext*, TF_Status*), void* (*create)(TF_OpKernelConstruction*),
                 void (*compute)(void*, TF_OpKernelContext*), void (*destroy)(void*)) {
  Status status;
  TF_OpDefinitionBuilder* op = tf.NewOpDefinitionBuilder(name);
  for (const char* input : inputs) tf.OpDefinitionBuilderAddInput(op, input);
  for (const char* output : outputs) tf.OpDefinitionBuilderAddOutput(op, output);
  for (const char* attribute : attributes) tf.OpDefinitionBuilderAddAttr(op, attribute);
  tf.OpDefinitionBuilderSetShapeInferenceFunction(op, infer);
  tf.RegisterOpDefinition(op, status);
  TF_KernelBuilder* kernel = tf.NewKernelBuilder(name, "CPU", create, compute, destroy);
  tf.RegisterKernelBuilder(name, kernel, status);
}

struct Registration {
  Registration() {
    if (!find_tensorflow() || !find_lattice()) return;  // then tf.load_op_library finds no op, which native.py reports
    register_op("CrfrnnLattice", {"positions: float"}, {CRFRNN_LATTICE_ARRAYS}, {}, infer_lattice, nullptr,
                compute_lattice, nullptr);
    register_op("CrfrnnFilter",
                {"values: float", "scale_in: float", "scale_out: float", CRFRNN_LATTICE_ARRAYS}, {"filtered: float"},
                {"transposed: bool = false"}, infer_filter, create_filter, compute_filter, delete_filter);
  }
} registration;

}  // namespace

#endif  // !_WIN32
