"""Filters as dense matrices, written from the equations in float64; nothing shared with crfrnn."""

import math

import numpy as np


def gaussian_matrix(positions):
    """K_ij = exp(-|p_i - p_j|^2 / 2) for positions (N, F)."""
    matrix = np.zeros((len(positions), len(positions)))
    for i, p in enumerate(positions):
        for j, q in enumerate(positions):
            squared = sum((float(a) - float(b)) ** 2 for a, b in zip(p, q, strict=True))
            matrix[i, j] = math.exp(-squared / 2)
    return matrix


def window_matrix(grid, window):
    """1 where point j of the grid is in the window (odd widths) centred at point i, else 0."""
    points = list(np.ndindex(*grid))
    matrix = np.zeros((len(points), len(points)))
    for i, p in enumerate(points):
        for j, q in enumerate(points):
            matrix[i, j] = all(
                2 * abs(a - b) + 1 <= width for a, b, width in zip(p, q, window, strict=True)
            )
    return matrix


def lattice_matrix(positions):
    """The permutohedral lattice of Adams, Baek and Davis (2010) for positions (N, F): (N, N).

    The identity is filtered: `lattice` maps the coordinates of a vertex to its value, a vector with
    one number per column of the matrix.
    """
    points, features = positions.shape
    basis = embedding(features)
    lattice = {}
    simplices = []
    for n, position in enumerate(positions):
        simplex = enclosing_simplex(basis @ position.astype(np.float64))
        simplices.append(simplex)
        for vertex, weight in simplex:  # splat
            lattice.setdefault(vertex, np.zeros(points))[n] += weight

    for axis in range(features + 1):  # blur
        step = np.ones(features + 1, int)
        step[axis] = -features
        blurred = {}
        for vertex, value in lattice.items():
            forward = lattice.get(tuple(int(c) for c in vertex + step), 0.0)
            back = lattice.get(tuple(int(c) for c in vertex - step), 0.0)
            blurred[vertex] = value + (forward + back) / 2
        lattice = blurred

    alpha = 1 / (1 + 2.0**-features)  # a factor of the DenseCRF code, not of the paper
    rows = [sum(weight * lattice[vertex] for vertex, weight in simplex) for simplex in simplices]
    return alpha * np.array(rows)  # slice


def embedding(features):
    """(F + 1, F) matrix from positions onto the hyperplane of zero sum (section 3.1).

    Orthogonal columns of length (F+1) sqrt(2/3): the standard deviation of the whole filter.
    """
    matrix = np.zeros((features + 1, features))
    for column in range(features):
        matrix[: column + 1, column] = 1
        matrix[column + 1, column] = -(column + 1)
        matrix[:, column] /= np.linalg.norm(matrix[:, column])
    return (features + 1) * math.sqrt(2 / 3) * matrix


def enclosing_simplex(elevated):
    """[(vertex, barycentric weight)] of a point of the hyperplane (section 3.2)."""
    size = len(elevated)
    nearest = size * np.round(elevated / size).astype(int)
    # Back onto the plane, by moving the coordinates that were rounded the furthest.
    surplus = int(nearest.sum()) // size
    order = sorted(range(size), key=lambda i: elevated[i] - nearest[i])
    for i in order[: max(surplus, 0)]:
        nearest[i] -= size
    for i in order[size + surplus :]:
        nearest[i] += size
    # Vertex k is the canonical one, (k, ..., k, k - size, ..., k - size), with the negative entries
    # at the k coordinates that exceed the nearest vertex least.
    descending = sorted(range(size), key=lambda i: nearest[i] - elevated[i])
    vertices = []
    for k in range(size):
        vertex = nearest + k
        vertex[descending[size - k :]] -= size
        vertices.append(vertex)
    # The weights solve: sum of weights = 1, sum of weights times vertices = the point.
    system = np.vstack([np.array(vertices).T, np.ones(size)])
    weights = np.linalg.lstsq(system, np.append(elevated, 1.0), rcond=None)[0]
    return [(tuple(int(c) for c in v), w) for v, w in zip(vertices, weights, strict=True)]


def normalized_matrix(matrix, normalization):
    """A filter matrix normalised by its row sums n = K 1."""
    norm = matrix.sum(axis=1)
    if normalization == "after":
        return matrix / norm[:, None]
    if normalization == "before":
        return matrix / norm[None, :]
    if normalization == "symmetric":
        return matrix / np.sqrt(norm[:, None] * norm[None, :])
    return matrix
