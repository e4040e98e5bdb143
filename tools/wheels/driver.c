// Filters a fixed input with the library named on the command line, as a program of the library's own platform: the way
// to run a library where this machine's Python cannot load it. Prints the instruction set, two sums of the filtered values,
// and the message of an error. check.py knows what they must be.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef _WIN32
#include <windows.h>
#define OPEN(name) LoadLibraryA(name)
#define FIND(library, name) (void*)GetProcAddress(library, name)
#else
#include <dlfcn.h>
#define OPEN(name) dlopen(name, RTLD_NOW)
#define FIND(library, name) dlsym(library, name)
#endif

// The C interface, as crfrnn/native/library.py sees it.
typedef struct {
  int64_t points, features;
  int32_t* vertex_ids;
  float* weights;
  int32_t* chains;
  int64_t *chain_splits, *seen;
} Lattice;
typedef int (*Build)(const float*, int64_t, int64_t, int64_t, int32_t*, float*, int64_t*, int64_t*, void**, char*,
                     int64_t);
typedef int (*WriteChains)(const void*, const int64_t*, int32_t*, char*, int64_t);
typedef int (*Filter)(const Lattice*, const float*, int64_t, int64_t, const float*, const float*, int32_t, float*, char*,
                      int64_t);
typedef const char* (*InstructionSet)(void);

enum { kPoints = 20000, kFeatures = 5, kChannels = 3 };  // of check.py as well
static float positions[kPoints * kFeatures], values[kPoints * kChannels], out[kPoints * kChannels];
static float weights[kPoints * (kFeatures + 1)];
static int32_t vertex_ids[kPoints * (kFeatures + 1)];
static int64_t chain_splits[kFeatures + 2], seen[65];

// Numerical Recipes' generator; 24 bits of it are exact in a float.
static float uniform(void) {
  static uint32_t state = 1;
  state = 1664525u * state + 1013904223u;
  return (float)(state >> 8) / 16777216.0f;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  void* library = (void*)OPEN(arguments[1]);
  if (!library) return fprintf(stderr, "%s cannot be loaded\n", arguments[1]), 1;
  Build build = (Build)FIND(library, "crfrnn_build");
  WriteChains write_chains = (WriteChains)FIND(library, "crfrnn_write_chains");
  Filter filter = (Filter)FIND(library, "crfrnn_filter");
  InstructionSet instruction_set = (InstructionSet)FIND(library, "crfrnn_instruction_set");
  if (!build || !write_chains || !filter || !instruction_set) return fprintf(stderr, "a function is missing\n"), 1;

  for (int i = 0; i < kPoints * kFeatures; ++i) positions[i] = 8 * uniform();
  for (int i = 0; i < kPoints * kChannels; ++i) values[i] = uniform();
  char message[1024] = "no error";
  void* neighbours = 0;
  if (build(positions, 1, kPoints, kFeatures, vertex_ids, weights, chain_splits, seen, &neighbours, message,
            sizeof message))
    return fprintf(stderr, "%s\n", message), 1;
  int32_t* chains = malloc(chain_splits[kFeatures + 1] * sizeof *chains);
  Lattice lattice = {kPoints, kFeatures, vertex_ids, weights, chains, chain_splits, seen};
  if (write_chains(neighbours, chain_splits, chains, message, sizeof message) ||
      filter(&lattice, values, 1, kChannels, 0, 0, 0, out, message, sizeof message))
    return fprintf(stderr, "%s\n", message), 1;
  double sum = 0, weighted = 0;
  for (int i = 0; i < kPoints * kChannels; ++i) {
    sum += out[i];
    weighted += (double)out[i] * (i % 7 - 3);
  }
  build(positions, 1, kPoints, 0, vertex_ids, weights, chain_splits, seen, &neighbours, message,
        sizeof message);  // a C++ exception inside
  printf("%s\n%.9g\n%.9g\n%s\n", instruction_set(), sum, weighted, message);
  return 0;
}
