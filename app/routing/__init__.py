"""Routing: rules select objects and destinations when objects arrive, when a study is complete, on a schedule, or
manually (FWD-1, FWD-3).

`rule` is the content of a route, `conditions` and `decide` evaluate it (pure), `arrivals` creates runs for arrived
objects, `jobs` executes a run, `service` are the verbs of the interfaces, `bench` shows what a rule would do."""
