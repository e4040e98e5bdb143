"""The explorer's page (`make explorer`): the C++ core as WebAssembly, its examples, and one HTML file of it all."""
