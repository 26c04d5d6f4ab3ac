"""Real containers and a real systemd, tried by hand on a machine where root may do such things (`make container-test`,
`make service-test`): too long and too demanding for `make test`. What they found stands in deploy/README.md."""
