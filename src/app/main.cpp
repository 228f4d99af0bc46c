#include "app/prony.hpp"

int main(int argc, char** argv) { return prony::app::prony_main(argc, argv); }
