"""One model, trained by as many processes as are started; the weights are the same bit for bit.

python examples/many_processes.py
mpiexec -n 2 python examples/many_processes.py      (pip install mpi4py mpich)
mpiexec -n 4 python examples/many_processes.py --epochs 10
"""

import argparse
import time

import tinynet
from tinynet import data, nn, training


def make_model():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()

    comm = training.world()  # MPI's communicator; of this process alone without mpiexec
    first = comm.Get_rank() == 0
    tinynet.set_num_threads(1)  # in each process, so that four of them take four processors

    tinynet.manual_seed(0)
    model = make_model()
    train, test = data.load("digits", "train"), data.load("digits", "test")
    start = time.perf_counter()
    training.fit(
        model,
        train,
        epochs=args.epochs,
        validate=test,
        batch_size=64,
        transform=data.standardize(train),
        augment=data.RandomRotation(10, "bilinear"),
        seed=0,
        comm=comm,  # each batch is cut into 8 parts, which the processes share
    )
    if first:
        print(f"{comm.Get_size()} processes, {time.perf_counter() - start:.1f} seconds")
        print(f"SHA-256 of the weights: {training.weights_sha256(model.state_dict())}")


if __name__ == "__main__":
    main()
