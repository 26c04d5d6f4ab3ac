"""Routing: rules say what leaves for where when objects arrive, when a study has settled, by the clock, or by hand (FWD-1,
FWD-3).

`rule` is what a route says, `conditions` and `decide` judge it (pure), `arrivals` turns what came into runs, `jobs` carries
a run out, `service` are the verbs of the interfaces, `bench` shows what a rule would do."""
