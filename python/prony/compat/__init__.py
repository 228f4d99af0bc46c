"""Stand-ins for other monitors: the same names, keys and defaults, with Prony's numbers behind them."""
