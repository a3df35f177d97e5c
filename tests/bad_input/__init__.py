"""Calls with input that has no meaning: what can be called, what a good call is, what is bad for an
argument, and how the answer is judged.
"""
