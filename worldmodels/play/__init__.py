"""Driving in a run's dream, in its real environment, or in both with the same actions, from a browser.

`parts` what a run lends to its drivers, `wheel` keys as actions, `chauffeur` the agent beside the driver, `dream_side`
and `real_side` a drive in each world, `session` one driver, `recording` what becomes a film, `messages` what page and
server say to each other, `server` the web server, `page/` what the browser shows, `exported/` the same without a
server.
"""
