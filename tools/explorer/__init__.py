"""The explorer's page (`make explorer`): the core as WebAssembly, examples, one file of it all."""
