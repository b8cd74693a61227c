"""Reports: the page, CSV, Excel and PDF of a declared report, and the schedule by which it is emailed."""
