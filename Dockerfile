# videofer in a container, on the processor or on NVIDIA GPUs.
#
#   docker build --target cpu --tag videofer:cpu .
#   docker run --rm --shm-size=4g --user "$(id -u):$(id -g)" --volume "$PWD:/work" \
#       videofer:cpu preprocess videos --out store
#
#   docker build --target cuda --tag videofer:cuda .
#   docker run --rm --gpus all --shm-size=4g --user "$(id -u):$(id -g)" --volume "$PWD:/work" \
#       videofer:cuda preprocess videos --out store --gpu
#
# Both hold PyTorch as pip installs it, with its CUDA libraries (7 GB). For a CPU image of half of that, name the
# index of PyTorch's CPU builds: --build-arg TORCH_INDEX=ADDRESS.

ARG PYTHON=3.11


FROM python:${PYTHON}-slim-bookworm AS packages
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/videofer
ENV PATH=/opt/videofer/bin:$PATH
WORKDIR /src
COPY requirements.lock ./
# Torch and torchvision first and together: they must be a pair from one build.
RUN if [ -n "$TORCH_INDEX" ]; then \
        grep -E '^torch(vision)?==' requirements.lock > torch.txt && \
        pip install --index-url "$TORCH_INDEX" --requirement torch.txt && \
        grep -vE '^torch(vision)?==' requirements.lock > rest.lock && mv rest.lock requirements.lock; \
    fi
COPY pyproject.toml README.md ./
COPY cache cache
COPY configs configs
COPY preprocessing preprocessing
COPY videofer videofer
# The lock says which versions, the project which packages: none for development. face-alignment comes alone, for it
# asks for a second OpenCV, one with windows.
RUN pip install --constraint requirements.lock ".[torchcodec]" && \
    grep -E '^(face_alignment|llvmlite|numba|tqdm)==' requirements.lock > alone.txt && \
    pip install --no-deps --requirement alone.txt


FROM packages AS packages-gpu
RUN pip uninstall --yes onnxruntime && \
    sed -n 's/^onnxruntime==/onnxruntime-gpu==/p' requirements.lock > onnx.txt && \
    pip install --no-deps --requirement onnx.txt


FROM python:${PYTHON}-slim-bookworm AS base
# FFmpeg's libraries: torchcodec decodes with them, all else brings its own. Not pinned: Debian keeps one version.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ffmpeg && \
    rm -rf /var/lib/apt/lists/*
# Any user may run it: caches lie in a folder that all can write to; a volume there keeps weights between runs.
RUN mkdir -m 1777 /cache
ENV PATH=/opt/videofer/bin:$PATH \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    RAY_USAGE_STATS_ENABLED=0
WORKDIR /work
USER 65534:65534
ENTRYPOINT ["videofer"]
CMD ["doctor"]


FROM base AS cuda
# What the NVIDIA runtime brings into the container: computing, nvidia-smi, and decoding on the GPU.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
COPY --from=packages-gpu /opt/videofer /opt/videofer


FROM base AS cpu
COPY --from=packages /opt/videofer /opt/videofer
