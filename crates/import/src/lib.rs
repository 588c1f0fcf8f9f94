//! Models and pictures from files: ONNX, safetensors, npy, PNG, JPEG, and the model zoo
