"""The CRF in Keras: unaries and image as tensors -> refined logits, trained with the network.

In: tensors of a Keras model. Out: layers, models, a loss, a callback. The only room that imports
Keras when it is imported; stands on `meanfield`, and only doors above import it.
"""

from crfrnn.optional import needed_keras

needed_keras("The layers of crfrnn (CRFRNN, attach, DenseCRFLoss, CRFMonitor)")
