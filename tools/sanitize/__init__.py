"""The native library under AddressSanitizer, UBSan and ThreadSanitizer (`make sanitize`).

It is compiled once per sanitizer and used in two ways: by its tests, in a copy of the package, and
by a program that makes random calls of its C interface (fuzz.cpp).
"""
