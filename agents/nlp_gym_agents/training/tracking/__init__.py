"""What others see of training: TensorBoard, Weights & Biases, samples of dev."""
