// The whole command line: parses, runs one subcommand, gives the exit code.
#pragma once

namespace prony::app {

[[nodiscard]] int prony_main(int argc, char** argv);

}  // namespace prony::app
