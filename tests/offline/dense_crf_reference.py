"""The dense CRF written from the papers' equations: every pair of points, loops, float64.

Kernels: Krahenbuhl and Koltun 2011, equation 3. Update: Zheng et al. 2015, algorithm 1, with the
signs of crfasrnn_keras. Nothing here is shared with crfrnn.
"""

import itertools
import math

import numpy as np


def kernel_matrices(image, theta_alpha, theta_beta, theta_gamma, spacing):
    """Spatial and bilateral Gaussian of every pair of points of one image (*S, K): two (N, N).

    theta_alpha, theta_gamma, spacing: one number per axis of S; theta_beta: one per channel.
    """
    points = list(itertools.product(*(range(size) for size in image.shape[:-1])))
    spatial = np.zeros((len(points), len(points)))
    bilateral = np.zeros((len(points), len(points)))
    for i, p in enumerate(points):
        for j, q in enumerate(points):
            near = alike = 0.0
            for axis in range(len(p)):
                distance = (p[axis] - q[axis]) * spacing[axis]
                near += distance**2 / (2 * theta_gamma[axis] ** 2)
                alike += distance**2 / (2 * theta_alpha[axis] ** 2)
            for channel in range(image.shape[-1]):
                difference = float(image[p][channel]) - float(image[q][channel])
                alike += difference**2 / (2 * theta_beta[channel] ** 2)
            spatial[i, j] = math.exp(-near)
            bilateral[i, j] = math.exp(-alike)
    return spatial, bilateral


def normalized(kernel, normalization):
    """The kernel matrix (N, N) with a normalisation by its row sums."""
    result = np.zeros_like(kernel)
    sums = [sum(row) for row in kernel]
    for i in range(len(kernel)):
        for j in range(len(kernel)):
            by = {
                "after": sums[i],
                "before": sums[j],
                "symmetric": math.sqrt(sums[i]) * math.sqrt(sums[j]),
                "none": 1.0,
            }[normalization]
            result[i, j] = kernel[i, j] / by
    return result


def iterate(unaries, kernels, weights, compatibility, num_iterations):
    """Mean-field updates of unaries (N, L); kernels: (N, N) each; weights: (L, L) of each kernel.

    compatibility (L, L): row = label that receives, column = label that sends.
    """
    points, labels = unaries.shape
    x = unaries.astype("float64")
    for _ in range(num_iterations):
        q = np.zeros((points, labels))
        for i in range(points):
            largest = max(x[i])
            total = sum(math.exp(v - largest) for v in x[i])
            for label in range(labels):
                q[i, label] = math.exp(x[i, label] - largest) / total
        weighted = np.zeros((points, labels))
        for kernel, weight in zip(kernels, weights, strict=True):
            passed = kernel @ q  # message passing
            for i in range(points):
                for label in range(labels):
                    for other in range(labels):
                        weighted[i, label] += weight[label, other] * passed[i, other]
        x = np.zeros((points, labels))
        for i in range(points):
            for label in range(labels):
                penalty = sum(compatibility[label, o] * weighted[i, o] for o in range(labels))
                x[i, label] = unaries[i, label] - penalty
    return x


def finite_differences(function, array, step=1e-6):
    """Central differences of a scalar function with respect to each number of a float64 array."""
    gradient = np.zeros(array.shape)
    for index in np.ndindex(*array.shape):
        ahead, behind = array.copy(), array.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = (function(ahead) - function(behind)) / (2 * step)
    return gradient
