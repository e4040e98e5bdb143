// What things are called.

export const VIEWS = {
  labels: ["Labels", "The most likely labels over the picture (1)"],
  probability: ["Probability", "How likely one label is (2)"],
  entropy: ["Doubt", "Entropy: bright where the CRF is undecided (3)"],
  changes: ["Changes", "What the CRF has changed (4)"],
  sees: ["What the CRF sees", "Click a point: how strongly it speaks with every other (5)"],
};

// Of the arguments of refine: their name, and what a larger one does.
export const SETTINGS = {
  theta_alpha: ["Reach", "How far apart like points support each other."],
  theta_beta: ["Contrast", "How much points may differ to count as alike."],
  theta_gamma: ["Smoothing reach", "How far smoothing reaches, edge or not."],
  bilateral_weight: ["Likeness weight", "How strongly like points speak. 0: not."],
  spatial_weight: ["Smoothing weight", "How strongly neighbours speak. 0: not."],
  num_iterations: ["Iterations", "How often all points listen to each other."],
};

export const TWO_STROKES = "Draw a stroke on the object, and one on the background.";
