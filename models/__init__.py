"""The cast, in torch alone: no Lightning, no training, no processes.

One alphabet for the whole repository, used in every shape:

    b batch    t frames    c channels    h w rows and columns
    n video tokens    l text tokens    d width    s audio samples

Video is `b t c h w`, the paper's T x C x H x W; pixels are in [-1, 1].
"""
