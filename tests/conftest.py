"""What all tests share."""

import signal

# Behind ``nohup``, or in a script's background, a process inherits that interrupts are ignored, and so would the commands
# that tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
