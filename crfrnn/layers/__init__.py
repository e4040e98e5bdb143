"""The CRF in Keras."""

from crfrnn.optional import needed_keras

needed_keras("The layers of crfrnn (CRFRNN, attach, DenseCRFLoss, CRFMonitor)")
