"""The workshop where command models are made: data, training, quantisation, reports. The daemon never imports it."""
