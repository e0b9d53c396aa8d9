from warmclaim.seams import *  # noqa: F403
from warmclaim.seams import ByteStream, Channel, Clock, Method, Request, Response, Rng, SystemClock, SystemRng, Transport  # noqa: F401, E501
