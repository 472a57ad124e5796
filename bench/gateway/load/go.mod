module llmops/bench/load

go 1.25
