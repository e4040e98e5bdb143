// The lattice as two TensorFlow ops, CrfrnnLattice and CrfrnnFilter, for tf.load_op_library.
//
// A separate small library that contains no TensorFlow header and is not linked to TensorFlow: it declares the few
// functions of TensorFlow's stable C interface that it needs (tensorflow/c/ops.h, kernels.h, tf_tensor.h, tf_status.h)
// and looks them up, when it is loaded, in the TensorFlow that loads it. So one file serves every TensorFlow version.
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

namespace {

// ---- TensorFlow's C interface ----------------------------------------------------------------------------------

struct TF_Status;
struct TF_Tensor;
struct TF_OpDefinitionBuilder;
struct TF_KernelBuilder;
struct TF_OpKernelConstruction;
struct TF_OpKernelContext;
struct TF_ShapeInferenceContext;
struct TF_ShapeHandle;
struct TF_DimensionHandle;
constexpr int kOk = 0, kInvalidArgument = 3, kResourceExhausted = 8;  // TF_Code
constexpr int kFloat = 1, kInt32 = 3, kInt64 = 9;       // TF_DataType

// X(return type, name, parameters)
#define CRFRNN_TENSORFLOW_FUNCTIONS(X)                                                                                 \
  X(TF_Status*, NewStatus, ())                                                                                         \
  X(void, DeleteStatus, (TF_Status*))                                                                                  \
  X(void, SetStatus, (TF_Status*, int code, const char* message))                                                      \
  X(int, GetCode, (const TF_Status*))                                                                                  \
  X(void*, TensorData, (const TF_Tensor*))                                                                             \
  X(int, NumDims, (const TF_Tensor*))                                                                                  \
  X(int64_t, Dim, (const TF_Tensor*, int))                                                                             \
  X(void, DeleteTensor, (TF_Tensor*))                                                                                  \
  X(TF_OpDefinitionBuilder*, NewOpDefinitionBuilder, (const char*))                                                    \
  X(void, OpDefinitionBuilderAddInput, (TF_OpDefinitionBuilder*, const char*))                                         \
  X(void, OpDefinitionBuilderAddOutput, (TF_OpDefinitionBuilder*, const char*))                                        \
  X(void, OpDefinitionBuilderAddAttr, (TF_OpDefinitionBuilder*, const char*))                                          \
  X(void, OpDefinitionBuilderSetShapeInferenceFunction,                                                                \
    (TF_OpDefinitionBuilder*, void (*)(TF_ShapeInferenceContext*, TF_Status*)))                                        \
  X(void, RegisterOpDefinition, (TF_OpDefinitionBuilder*, TF_Status*))                                                 \
  X(TF_KernelBuilder*, NewKernelBuilder,                                                                               \
    (const char*, const char*, void* (*)(TF_OpKernelConstruction*), void (*)(void*, TF_OpKernelContext*),              \
     void (*)(void*)))                                                                                                 \
  X(void, RegisterKernelBuilder, (const char*, TF_KernelBuilder*, TF_Status*))                                         \
  X(void, OpKernelConstruction_GetAttrBool, (TF_OpKernelConstruction*, const char*, unsigned char*, TF_Status*))       \
  X(void, OpKernelContext_Failure, (TF_OpKernelContext*, TF_Status*))                                                  \
  X(void, GetInput, (TF_OpKernelContext*, int, TF_Tensor**, TF_Status*))                                               \
  X(TF_Tensor*, AllocateOutput, (TF_OpKernelContext*, int, int, const int64_t*, int, size_t, TF_Status*))              \
  X(TF_ShapeHandle*, NewShapeHandle, ())                                                                               \
  X(void, DeleteShapeHandle, (TF_ShapeHandle*))                                                                        \
  X(TF_DimensionHandle*, NewDimensionHandle, ())                                                                       \
  X(void, DeleteDimensionHandle, (TF_DimensionHandle*))                                                                \
  X(void, ShapeInferenceContextGetInput, (TF_ShapeInferenceContext*, int, TF_ShapeHandle*, TF_Status*))                \
  X(void, ShapeInferenceContextSetOutput, (TF_ShapeInferenceContext*, int, TF_ShapeHandle*, TF_Status*))               \
  X(void, ShapeInferenceContextWithRank,                                                                               \
    (TF_ShapeInferenceContext*, TF_ShapeHandle*, int64_t, TF_ShapeHandle*, TF_Status*))                                \
  X(void, ShapeInferenceContextSubshape,                                                                               \
    (TF_ShapeInferenceContext*, TF_ShapeHandle*, int64_t, int64_t, TF_ShapeHandle*, TF_Status*))                       \
  X(void, ShapeInferenceContextConcatenateShapes,                                                                      \
    (TF_ShapeInferenceContext*, TF_ShapeHandle*, TF_ShapeHandle*, TF_ShapeHandle*, TF_Status*))                        \
  X(TF_ShapeHandle*, ShapeInferenceContextVectorFromSize, (TF_ShapeInferenceContext*, size_t))                         \
  X(void, ShapeInferenceContextSetUnknownShape, (TF_ShapeInferenceContext*, TF_Status*))                               \
  X(void, ShapeInferenceContextDim, (TF_ShapeInferenceContext*, TF_ShapeHandle*, int64_t, TF_DimensionHandle*))        \
  X(int, ShapeInferenceContextRankKnown, (TF_ShapeInferenceContext*, TF_ShapeHandle*))                                 \
  X(int, DimensionHandleValueKnown, (TF_DimensionHandle*))                                                             \
  X(int64_t, DimensionHandleValue, (TF_DimensionHandle*))

struct TensorFlow {
#define CRFRNN_DECLARE(type, name, parameters) type(*name) parameters;
  CRFRNN_TENSORFLOW_FUNCTIONS(CRFRNN_DECLARE)
#undef CRFRNN_DECLARE
} tf;

void* find_library(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (void* handle = dlopen(name, RTLD_LAZY | RTLD_NOLOAD)) return handle;
  return RTLD_DEFAULT;
}

bool find_tensorflow() {
  void* handle = find_library({"libtensorflow_framework.so.2", "libtensorflow_framework.2.dylib"});
  bool found = true;
#define CRFRNN_LOOK_UP(type, name, parameters)                               \
  tf.name = reinterpret_cast<decltype(tf.name)>(dlsym(handle, "TF_" #name)); \
  found = found && tf.name;
  CRFRNN_TENSORFLOW_FUNCTIONS(CRFRNN_LOOK_UP)
#undef CRFRNN_LOOK_UP
  return found;
}

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

// ---- Small owners ----------------------------------------------------------------------------------------------

class Status {
 public:
  Status() : status_(tf.NewStatus()) {}
  ~Status() { tf.DeleteStatus(status_); }
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;
  operator TF_Status*() { return status_; }
  bool ok() const { return tf.GetCode(status_) == kOk; }

 private:
  TF_Status* status_;
};

class Tensor {
 public:
  Tensor() = default;
  ~Tensor() {
    if (tensor_) tf.DeleteTensor(tensor_);
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  bool get_input(TF_OpKernelContext* context, int index) {
    Status status;
    tf.GetInput(context, index, &tensor_, status);
    return status.ok();
  }
  bool allocate_output(TF_OpKernelContext* context, int index, int type, std::vector<int64_t> shape) {
    size_t bytes = type == kInt64 ? 8 : 4;
    for (int64_t size : shape) bytes *= size;
    Status status;
    tensor_ = tf.AllocateOutput(context, index, type, shape.data(), static_cast<int>(shape.size()), bytes, status);
    return status.ok();
  }

  int rank() const { return tf.NumDims(tensor_); }
  int64_t size(int axis) const { return tf.Dim(tensor_, axis); }
  std::vector<int64_t> shape() const {
    std::vector<int64_t> sizes(rank());
    for (int axis = 0; axis < rank(); ++axis) sizes[axis] = size(axis);
    return sizes;
  }
  int64_t elements() const {
    int64_t product = 1;
    for (int64_t size : shape()) product *= size;
    return product;
  }
  template <class T>
  T* data() const {
    return static_cast<T*>(tf.TensorData(tensor_));
  }
  // An empty tensor stands for none.
  const float* data_or_null() const { return elements() ? data<float>() : nullptr; }

 private:
  TF_Tensor* tensor_ = nullptr;
};

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
