// A simulated board: the top in Verilator's loop, its serial line at a pseudo-terminal.
// The name of the terminal goes to standard output; when standard input ends, so does the board.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "Vtop.h"
#include "verilated.h"

static const int kPeriod = 64;      // cycles between looks at the terminal
static const int kIdle = 1 << 16;   // cycles without a byte after which the clock waits for one

static void fail(const char *what) {
    std::perror(what);
    std::exit(1);
}

int main() {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal)) fail("posix_openpt");
    const char *name = ptsname(terminal);
    // Kept open, so that the terminal stays while no host has it.
    int other = open(name, O_RDWR | O_NOCTTY);
    if (other < 0) fail(name);
    struct termios mode;
    tcgetattr(other, &mode);
    cfmakeraw(&mode);
    tcsetattr(other, TCSANOW, &mode);
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    std::printf("%s\n", name);
    std::fflush(stdout);

    VerilatedContext context;
    Vtop top{&context};
    std::deque<uint8_t> in, out;
    unsigned sending = 0, send_left = 0;        // bits on the line to the board: a cycle each
    unsigned receiving = 0, receive_left = 0;   // and from it
    long idle = 0;
    top.clk = 0;
    top.uart_rx = 1;
    top.eval();  // else the first edge would be none
    for (long cycle = 0;; ++cycle) {
        if (cycle % kPeriod == 0) {
            uint8_t some[4096];
            while (!out.empty()) {
                size_t count = 0;
                for (; count < sizeof some && count < out.size(); ++count) some[count] = out[count];
                ssize_t gone = write(terminal, some, count);
                if (gone <= 0) break;
                out.erase(out.begin(), out.begin() + gone);
            }
            ssize_t got = in.size() < sizeof some ? read(terminal, some, sizeof some) : 0;
            if (got > 0) in.insert(in.end(), some, some + got);
            bool waits = idle > kIdle && in.empty();
            struct pollfd on[] = {{terminal, static_cast<short>(POLLIN | (out.empty() ? 0 : POLLOUT)), 0},
                                  {0, POLLIN, 0}};
            if (waits) poll(on, 2, -1);
            if (waits || cycle % (kPeriod * 1024) == 0) {
                poll(on + 1, 1, 0);
                char byte;
                if ((on[1].revents & (POLLIN | POLLHUP)) && read(0, &byte, 1) <= 0) break;
            }
        }
        if (send_left == 0 && !in.empty()) {
            sending = in.front() << 1 | 0x200;
            send_left = 10;
            in.pop_front();
        }
        top.uart_rx = send_left ? sending & 1 : 1;
        if (send_left) sending >>= 1, --send_left;
        top.clk = 1;
        top.eval();
        top.clk = 0;
        top.eval();
        if (receive_left == 0) {
            if (!top.uart_tx) receive_left = 9, receiving = 0;
        } else if (--receive_left) {
            receiving = receiving >> 1 | static_cast<unsigned>(top.uart_tx) << 7;
        } else {
            out.push_back(receiving);
        }
        idle = send_left || receive_left || !in.empty() ? 0 : idle + 1;
    }
    return 0;
}
