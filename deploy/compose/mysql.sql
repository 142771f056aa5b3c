-- The image has made the user and given it its database; this is the sight of other sessions, for the horizon.
GRANT PROCESS ON *.* TO sesam@'%';
