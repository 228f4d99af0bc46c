#!/usr/bin/env python3
"""Asks a power monitor MCP39F511N (Microchip; evaluation board ADM00706, often /dev/ttyACM0) and prints a line a reading:
seconds, active power of its channel 1, of its channel 2, as the registers hold them. With the board's calibration as delivered
1 is a hundredth of a watt; whoever calibrated it otherwise has another unit, so hold it against a lamp once.

    prony run --meter 'exec:python3 mcp39f511n.py /dev/ttyACM0#watts=2+3,factor=0.01' -- COMMAND

usage: mcp39f511n.py DEVICE [SECONDS]     SECONDS between two questions, 0.1 if not told

Its frames: 0xA5, how many bytes, commands, sum of all bytes before modulo 256. Commands: 0x41 and two bytes set the register
to begin at, 0x4E and one byte read so many. It answers 0x06, how many bytes, the registers (lower byte first), their sum;
0x15 for a command and 0x51 for a sum that it does not accept. Written from the data sheet's protocol as open drivers of the
chip have it (registers 0x0016 and 0x001A: active power); never run on a real one.
"""

import os
import select
import struct
import sys
import termios
import time
import tty

HEADER, ACKNOWLEDGED = 0xA5, 0x06
SET_ADDRESS, READ = 0x41, 0x4E
ACTIVE_POWER, TWO_CHANNELS = 0x0016, 8
PATIENCE_S = 1.0


def frame(body):
    whole = bytes([HEADER, len(body) + 3]) + body
    return whole + bytes([sum(whole) & 0xFF])


def answer_of(port, bytes_wanted):
    """The registers' bytes, or None: no whole answer in time, refused, or a sum that does not hold."""
    got, until = b"", time.monotonic() + PATIENCE_S
    while len(got) < bytes_wanted + 3:
        left = until - time.monotonic()
        if left <= 0 or not select.select([port], [], [], left)[0]:
            return None
        more = os.read(port, 256)
        if not more:
            sys.exit("the port is gone")
        got += more
        if got[0] != ACKNOWLEDGED:
            return None
    whole = got[:bytes_wanted + 3]
    if whole[1] != bytes_wanted + 3 or whole[-1] != sum(whole[:-1]) & 0xFF:
        return None
    return whole[2:-1]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port)
    settings = termios.tcgetattr(port)
    settings[4] = settings[5] = termios.B115200
    termios.tcsetattr(port, termios.TCSANOW, settings)
    question = frame(bytes([SET_ADDRESS, ACTIVE_POWER >> 8, ACTIVE_POWER & 0xFF, READ, TWO_CHANNELS]))
    pause_s = float(sys.argv[2]) if len(sys.argv) == 3 else 0.1
    silent = 0
    while True:
        termios.tcflush(port, termios.TCIFLUSH)  # the rest of an answer that was given up
        os.write(port, question)
        data = answer_of(port, TWO_CHANNELS)
        silent = 0 if data else silent + 1
        if silent == 10:
            sys.exit(f"{sys.argv[1]}: nothing that an MCP39F511N answers came on ten questions")
        if data:
            print("%.3f,%d,%d" % (time.time(), *struct.unpack("<II", data)), flush=True)
        time.sleep(pause_s)


if __name__ == "__main__":
    main()
