// TensorFlow's stable C interface, as far as the ops need it, looked up in the TensorFlow that loads them.
//
// No header of TensorFlow's is needed: tensorflow/c/ops.h, kernels.h, tf_tensor.h and tf_status.h have the same.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace crfrnn::tensorflow {

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
};
inline TensorFlow tf;

inline void* find_library(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (void* handle = dlopen(name, RTLD_LAZY | RTLD_NOLOAD)) return handle;
  return RTLD_DEFAULT;
}

inline bool find_tensorflow() {
  void* handle = find_library({"libtensorflow_framework.so.2", "libtensorflow_framework.2.dylib"});
  bool found = true;
#define CRFRNN_LOOK_UP(type, name, parameters)                               \
  tf.name = reinterpret_cast<decltype(tf.name)>(dlsym(handle, "TF_" #name)); \
  found = found && tf.name;
  CRFRNN_TENSORFLOW_FUNCTIONS(CRFRNN_LOOK_UP)
#undef CRFRNN_LOOK_UP
  return found;
}

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

}  // namespace crfrnn::tensorflow
