"""The worker. What needs no PyTorch lies in modules of its own (protocol, batching, ranks, spans, precision, memory's
process half), so that they are tested where there is none; engine.py alone imports torch and transformers."""

VERSION = "0.1.0"
