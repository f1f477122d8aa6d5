"""Driving in a run's dream, in its real environment, or in both with the same actions, from a browser.

`parts` what a run lends to its drivers, `wheel` keys as actions, `chauffeur` the agent at the wheel, `watcher` what the
memory expects of the real environment, `session` one driver, `film` what is recorded, `messages` what page and server
say to each other, `server` the web server, `page/` what the browser shows.
"""
