"""`unipixel-tiny`, the small model that comes with the package, from nothing.

What the published model takes from SAM 2.1 and Qwen2.5-VL is learned here first (`make.BASE`): a mask decoder
that finds what is named or clicked and follows it, a visual tower that sees, a language model that talks
about it. Then come the three stages of the paper, as the recipes `tiny_1`, `tiny_2` and `tiny_3`.
"""
