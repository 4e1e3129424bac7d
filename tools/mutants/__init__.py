"""Mutation tests of the code that moves traffic: each mutant is one small mistake, and some test must notice it.

`mistakes` finds the places for mistakes in a source text, `named` keeps those that lived once, `accepted` those that
may live; `server` runs the tests against one in a fork, and `hunt` spends the time that there is.
"""
