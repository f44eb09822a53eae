"""Stock XGBoost over several enclaves: its sockets without a network, in a process apart."""
