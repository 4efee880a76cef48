# CPU:   docker build -t jaxgan .
# CUDA:  docker build -t jaxgan:cuda --build-arg EXTRAS=features,cuda13 .
#
#   docker run --rm -v "$PWD:/data" jaxgan experiment pets --budget 15m
#   docker run --rm --gpus all -v "$PWD:/data" jaxgan:cuda train wgan512 --data pets
#
# JAX's wheels bring CUDA's libraries: the host needs NVIDIA's driver and container toolkit alone.
FROM python:3.12-slim

ARG EXTRAS=features
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY jaxgan /src/jaxgan
COPY configs /src/configs
COPY scripts /src/scripts
RUN pip install --no-cache-dir -c /src/constraints.txt "/src[${EXTRAS}]" && rm -r /src

# What is written belongs to whoever runs it: docker run --user "$(id -u):$(id -g)".
ENV HOME=/data/.jaxgan PYTHONUNBUFFERED=1
WORKDIR /data
ENTRYPOINT ["jaxgan"]
CMD ["--help"]
